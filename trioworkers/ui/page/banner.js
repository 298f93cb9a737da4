// Whether the server can be reached, for all to see.

import { announce } from "./announce.js";
import { byId, setText, show } from "./dom.js";

const WORDS = {
  ready: "Connected",
  connecting: "Connecting…",
  waiting: "Disconnected",
  denied: "Token needed",
  closed: "Disconnected",
};

let wasReady = false;
let isMissed = false;

/** Show a state of a `Connection`. */
export function drawState(state) {
  const badge = byId("state");
  badge.dataset.state = state.name;
  setText(badge, WORDS[state.name]);
  if (state.name === "ready") {
    if (isMissed) announce("Connected again.");
    [wasReady, isMissed] = [true, false];
  } else if (state.name === "waiting" && !isMissed) {
    isMissed = true;
    announce(
      wasReady
        ? "The connection was lost. Trying again."
        : "The server can't be reached. Trying again.",
    );
  }
  show(byId("banner"), isMissed && state.name !== "denied");
  tickState(state);
}

/** Let the countdown go on. */
export function tickState(state) {
  if (!isMissed) return;
  const lost = wasReady ? "The connection was lost." : "The server can't be reached.";
  if (state.name === "waiting") {
    const seconds = Math.max(1, Math.ceil((state.until - Date.now()) / 1000));
    setText(byId("banner-text"), `${lost} Next try in ${seconds} s.`);
  } else setText(byId("banner-text"), `${lost} Trying now…`);
}
