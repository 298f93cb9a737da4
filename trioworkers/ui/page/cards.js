// Job groups as cards: those in flight, and those that have ended.

import { now } from "./clock.js";
import { byId, h, isUsable, keyed, place, setAttribute, setText, setUsable, show } from "./dom.js";
import { factView } from "./facts.js";
import { findingsView } from "./findings.js";
import { outcomeOf, standingOf } from "./groups.js";
import {
  capitalized,
  clock,
  counted,
  duration,
  entries,
  number,
  readable,
  shorten,
} from "./text.js";

/** Workers of a group that are shown at first. */
const FEW = 12;
const LONGEST_REASON = 1000;

const WORDS = {
  completed: "Completed",
  cancelled: "Cancelled",
  failed: "Failed",
  lost: "Lost sight of",
};

/** Draws the state of `groups.js`. Calls `onCancel(id)` when somebody wants that. */
export class Cards {
  #views = new Map();
  #onCancel;

  constructor(onCancel) {
    this.#onCancel = onCancel;
  }

  /** Draw a state; `isAway`: the server can't be reached. */
  draw({ open, ended }, isAway) {
    const cards = [...Array.from(open.values()).reverse(), ...ended];
    const views = new Map(
      cards.map(({ id }) => [id, this.#views.get(id) ?? cardView(id, this.#onCancel)]),
    );
    this.#views = views;
    const nodes = cards.map(({ id }) => views.get(id).node);
    keepFocus(() => {
      for (const card of cards) views.get(card.id).update(card, isAway);
      place(byId("open"), nodes.slice(0, open.size));
      place(byId("ended"), nodes.slice(open.size));
      show(byId("open-empty"), open.size === 0);
      show(byId("results"), ended.length > 0);
    });
    setText(byId("open-count"), open.size ? number(open.size) : "");
    setText(byId("ended-count"), ended.length ? number(ended.length) : "");
  }

  /** Let the clocks of the cards in flight go on. */
  tick({ open }, now) {
    for (const [id, card] of open) this.#views.get(id)?.tick(card, now);
  }
}

/** Do something that may move or change cards; the focus stays where it was, or goes to its card. */
function keepFocus(fn) {
  const focused = document.activeElement;
  const card = focused?.closest(".card");
  fn();
  if (!card || (focused === document.activeElement && focused.checkVisibility())) return;
  if (!card.isConnected) byId("composer-text").focus();
  else
    (focused.isConnected && focused.checkVisibility() ? focused : card).focus({
      preventScroll: true,
    });
}

function cardView(id, onCancel) {
  const title = h("h3", { id: `card-${id}` });
  const elapsed = h("span", { class: "elapsed" });
  const chip = h("span", { class: "chip" });
  const cancel = h("button", {
    type: "button",
    class: "quiet cancel",
    onclick: () => isUsable(cancel) && onCancel(id),
  });
  const problem = h("p", { class: "problem" });
  const note = h("p", { class: "note muted" });
  const rows = h("ul", { class: "rows" });
  const more = h("button", {
    type: "button",
    class: "link",
    "aria-expanded": "false",
    onclick: turn,
  });
  const head = h("header", { class: "card-head" }, title, chip, elapsed, cancel);
  const node = h(
    "article",
    { class: "card sheet", "aria-labelledby": title.id, tabindex: "-1" },
    head,
    problem,
    note,
    rows,
    more,
  );
  let last = null;
  let isWide = false;

  function turn() {
    isWide = !isWide;
    more.setAttribute("aria-expanded", String(isWide));
    drawRows();
  }

  function drawRows() {
    const { isLost } = last;
    const reason = reasonOf(last);
    setText(note, plain(reason));
    show(note, note.textContent !== "");
    const workers = Array.from(last.workers.values(), (worker) => ({ worker, isLost, reason }));
    keyed(rows, isWide ? workers : workers.slice(0, FEW), ({ worker }) => worker.name, rowView);
    show(more, workers.length > FEW);
    setText(more, isWide ? "Show fewer workers" : `Show all ${counted(workers.length, "worker")}`);
  }

  function update(card, isAway) {
    const outcome = outcomeOf(card);
    setAttribute(node, "data-outcome", outcome);
    setText(title, card.label);
    setText(chip, outcome === "running" ? standing(card) : WORDS[outcome]);
    show(cancel, outcome === "running" && card.cancellable);
    setText(cancel, card.isCancelling ? "Cancelling…" : "Cancel");
    setAttribute(cancel, "aria-label", `${cancel.textContent} ${shorten(card.label, 80)}`);
    setUsable(cancel, !card.isCancelling && !isAway);
    const trouble = card.isLost
      ? "The server knows nothing of this group any more: it has ended, or the server was started anew."
      : card.problem;
    setText(problem, trouble ?? "");
    show(problem, Boolean(trouble));
    if (card.endedAt !== null) setText(elapsed, duration(card.endedAt - card.startedAt));
    else tick(card, now());
    if (card.workers !== last?.workers || card.isLost !== last.isLost) {
      last = card;
      drawRows();
    }
    last = card;
  }

  function tick(card, now) {
    setText(elapsed, clock(now - card.startedAt));
  }

  return { node, update, tick };
}

/** Say how many workers of a group in flight have ended. */
function standing(card) {
  const workers = Array.from(card.workers.values());
  const ended = workers.filter((worker) => worker.status !== null).length;
  return `${number(ended)} of ${number(workers.length)} ended`;
}

/** Return why all were cancelled that were; null if for more than one reason, or for none. */
function reasonOf({ workers }) {
  const all = Array.from(workers.values());
  const reasons = new Set(
    all.filter((worker) => standingOf(worker, false) === "cancelled").map((worker) => worker.error),
  );
  return reasons.size === 1 ? [...reasons][0] : null;
}

/** Return a reason without the names that errors have: how it ended is said beside. */
const plain = (reason) =>
  capitalized(shorten((reason ?? "").replace(/^(JobError: |cancelled: )+/i, ""), LONGEST_REASON));

function rowView() {
  const name = h("span", { class: "name" });
  const word = h("span", { class: "word" });
  const figures = h("span", { class: "figures" });
  const bar = h("progress", {});
  const why = h("p", { class: "why" });
  const answer = h("dl", { class: "facts" });
  const findings = findingsView();
  const line = h("div", { class: "line" }, name, word, figures);
  const node = h("li", { class: "row" }, line, bar, why, answer, findings.node);

  let last = {};

  function update({ worker, isLost, reason }) {
    if (worker === last.worker && isLost === last.isLost && reason === last.reason) return;
    last = { worker, isLost, reason };
    const standing = standingOf(worker, isLost);
    const { stage, done, total } = progressOf(worker);
    setAttribute(node, "data-standing", standing);
    setText(name, worker.name);
    setText(word, standing === "running" ? stage : (WORDS[standing] ?? standing));
    setText(figures, figuresOf(worker, standing));
    setAttribute(bar, "aria-label", `Progress of ${worker.name}`);
    show(bar, standing === "running");
    const isKnown = total > 0 && done >= 0;
    setAttribute(bar, "max", isKnown ? total : null);
    setAttribute(bar, "value", isKnown ? Math.min(done, total) : null);
    const said = worker.error === reason ? "" : plain(worker.error);
    setText(why, said);
    show(why, said !== "");
    const facts = factsOf(worker.response);
    keyed(answer, facts, (fact) => facts.indexOf(fact), factView);
    show(answer, facts.length > 0);
    findings.update(worker);
  }

  return { node, update };
}

/** Return an answer as pairs of texts, without the findings in it. */
function factsOf(response) {
  if (response === null || typeof response !== "object") return [];
  const { results, ...facts } = response;
  return entries(Array.isArray(results) ? facts : response);
}

/** Return `{stage, done, total}` of what a worker has told last. */
function progressOf({ update }) {
  const isTable = update !== null && typeof update === "object" && !Array.isArray(update);
  const stage = isTable && typeof update.stage === "string" ? update.stage.trim() : "";
  const figure = (name) => (isTable && Number.isFinite(update[name]) ? update[name] : -1);
  return {
    stage: stage ? capitalized(shorten(stage, 40)) : update === null ? "Waiting" : "Working",
    done: figure("done"),
    total: figure("total"),
  };
}

const KNOWN = new Set(["stage", "done", "total", "found"]);

function figuresOf(worker, standing) {
  const { update } = worker;
  if (standing !== "running" && worker.response !== null) return "";
  if (update === null) return "";
  if (typeof update !== "object" || Array.isArray(update)) return readable(update);
  const { done, total } = progressOf(worker);
  const parts = [];
  if (Number.isFinite(update.found)) parts.push(`found ${number(update.found)}`);
  if (total > 0 && done >= 0) parts.push(`${number(done)} of ${number(total)}`);
  const rest = Object.fromEntries(Object.entries(update).filter(([name]) => !KNOWN.has(name)));
  if (Object.keys(rest).length) parts.push(readable(rest));
  return parts.join(" · ");
}
