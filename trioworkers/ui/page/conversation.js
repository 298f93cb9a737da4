// What was said: a log that is bounded.

import { byId, h } from "./dom.js";

/** Lines that are kept. */
const MOST_LINES = 200;

const NAMES = { you: "You", panel: "Panel", trouble: "Problem" };

/** Add a line; `who` is "you", "panel" or "trouble". */
export function say(who, text) {
  const log = byId("log");
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(
    h(
      "div",
      { class: `said said-${who}` },
      h("span", { class: "who" }, NAMES[who]),
      h("p", {}, text),
    ),
  );
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  // It scrolls, also by the keyboard.
  log.tabIndex = 0;
  if (isAtEnd || who === "you") log.scrollTop = log.scrollHeight;
}
