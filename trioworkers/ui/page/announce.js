// What is read out: beginnings and ends, never progress.

import { byId } from "./dom.js";
import { outcomeOf } from "./groups.js";
import { counted, shorten } from "./text.js";

/** Milliseconds in which what is to be read out is put together. */
const GATHERED = 400;

let waiting = [];

/** Have a text read out. */
export function announce(text) {
  if (waiting.length === 0) {
    setTimeout(() => {
      byId("announcer").textContent = waiting.slice(-5).join(" ");
      waiting = [];
    }, GATHERED);
  }
  waiting.push(text);
}

const name = ({ label }) => shorten(label, 80);

const ENDS = {
  completed: "has completed",
  cancelled: "was cancelled",
  failed: "has ended, and not all went well",
  lost: "is not known to the server any more",
};

/** Have read out what differs between two states of `groups.js`. */
export function announceChanges(before, after) {
  for (const [id, card] of after.open) {
    if (!before.open.has(id)) {
      announce(`${name(card)}: started with ${counted(card.workers.size, "worker")}.`);
    }
  }
  for (const card of after.ended) {
    if (before.open.has(card.id)) announce(`${name(card)} ${ENDS[outcomeOf(card)]}.`);
  }
}
