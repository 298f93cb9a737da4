// What is known of job groups: a state, and what news makes of it. Nothing in here is drawn.

import { now } from "./clock.js";
import { shorten } from "./text.js";

/** Groups that are kept after their end. */
const MOST_ENDED = 50;
/** Groups in flight that are kept; of further ones the oldest goes. */
const MOST_OPEN = 500;
/** Findings of a worker that are kept: the best. */
const MOST_FINDINGS = 200;
const LONGEST_LABEL = 300;

/**
 * Nothing is known.
 *
 * `open` has the cards in flight by id, the oldest first, `ended` a list, the newest first.
 */
export const NOTHING = Object.freeze({ open: new Map(), ended: [] });

const newWorker = (name) => ({
  name,
  update: null,
  findings: [],
  found: 0,
  status: null,
  response: null,
  error: null,
  repeats: null,
});

/**
 * Return the state after news; the same state if there is none in it.
 *
 * News is what the server tells (`group_started`, `job_update`, `job_completed`,
 * `group_completed`, each as often as it likes), or what happens here: `connected`, after which
 * the server tells what is in flight; `told`, once it has; `cancelling` and `refused`.
 */
export function reduce(state, news) {
  return Object.hasOwn(CHANGES, news.kind) ? CHANGES[news.kind](state, news) : state;
}

const CHANGES = {
  group_started: begin,
  job_update: onWorker(update),
  job_completed: onWorker(complete),
  group_completed: (state, { job_id: id, at }) => end(state, id, at),
  connected: (state) => onEach(state, (card) => ({ ...card, isTold: false })),
  told: giveUp,
  cancelling: (state, { job_id: id }) => onCard(state, id, { isCancelling: true, problem: null }),
  refused: (state, { job_id: id, why }) => onCard(state, id, { isCancelling: false, problem: why }),
};

function begin(state, { job_id: id, workers, label, cancellable, at }) {
  if (typeof id !== "string" || !Array.isArray(workers)) return state;
  const known = state.open.get(id);
  if (known !== undefined) {
    const again = Array.from(known.workers.values(), (worker) => [worker.name, repeated(worker)]);
    return onCard(state, id, { isTold: true, isCancelling: false, workers: new Map(again) });
  }
  if (state.ended.some((card) => card.id === id && !card.isLost)) return state;
  const card = {
    id,
    label: (typeof label === "string" && shorten(label.trim(), LONGEST_LABEL)) || "Untitled group",
    cancellable: cancellable !== false,
    workers: new Map(workers.map(String).map((name) => [name, newWorker(name)])),
    startedAt: typeof at === "number" ? at : now(),
    endedAt: null,
    isCancelling: false,
    isTold: true,
    isLost: false,
    problem: null,
  };
  const open = new Map(state.open).set(id, card);
  if (open.size > MOST_OPEN) open.delete(open.keys().next().value);
  return { open, ended: state.ended.filter((one) => one.id !== id) };
}

/** Return a worker of which the server tells again what has been told. */
function repeated(worker) {
  const repeats = new Map();
  for (const { key } of worker.findings) repeats.set(key, (repeats.get(key) ?? 0) + 1);
  return { ...worker, repeats };
}

function update(worker, { data, at }) {
  if (worker.status !== null) return worker;
  const kind = data?.type;
  if (kind === "stream_data" && "data" in data) return find(worker, data.data, at);
  if (kind === "stream_start" || kind === "stream_end") return worker;
  return { ...worker, update: data ?? null };
}

function find(worker, data, at) {
  const key = `${at} ${JSON.stringify(data)}`;
  const times = worker.repeats?.get(key) ?? 0;
  if (times > 0) {
    return { ...worker, repeats: new Map(worker.repeats).set(key, times - 1) };
  }
  return keep(worker, key, data);
}

function keep(worker, key, data) {
  const score = typeof data?.score === "number" ? data.score : 0;
  const findings = [...worker.findings, { key, data, score, number: worker.found }];
  if (findings.length > MOST_FINDINGS) {
    const worst = findings.reduce((one, other) => (other.score < one.score ? other : one));
    findings.splice(findings.indexOf(worst), 1);
  }
  return { ...worker, findings, found: worker.found + 1 };
}

/** Add the `results` of an answer to what was found on the way, if they are new. */
function keepResults(worker, response) {
  if (!Array.isArray(response?.results)) return worker;
  const known = new Set(worker.findings.map(({ data }) => JSON.stringify(data)));
  const fresh = response.results
    .slice(0, MOST_FINDINGS)
    .filter((data) => !known.has(JSON.stringify(data)));
  return fresh.reduce((now, data) => keep(now, `answer ${JSON.stringify(data)}`, data), worker);
}

function complete(worker, { status, response, error }) {
  if (worker.status !== null) return worker;
  return {
    ...keepResults(worker, response),
    status: typeof status === "string" ? status : "error",
    response: response ?? null,
    error: typeof error === "string" ? error : null,
    repeats: null,
  };
}

function end(state, id, at, changes = {}) {
  const card = state.open.get(id);
  if (card === undefined) return state;
  const open = new Map(state.open);
  open.delete(id);
  const endedAt = typeof at === "number" ? at : now();
  const last = { ...card, ...changes, endedAt, isCancelling: false };
  return { open, ended: [last, ...state.ended].slice(0, MOST_ENDED) };
}

/** End the groups of which the server knows nothing any more. */
function giveUp(state, { at }) {
  const lost = Array.from(state.open.values()).filter((card) => !card.isTold);
  return lost.reduce((now, card) => end(now, card.id, at, { isLost: true }), state);
}

function onEach(state, fn) {
  if (state.open.size === 0) return state;
  return { ...state, open: new Map(Array.from(state.open, ([id, card]) => [id, fn(card)])) };
}

function onCard(state, id, changes) {
  const card = state.open.get(id);
  if (card === undefined) return state;
  return { ...state, open: new Map(state.open).set(id, { ...card, ...changes }) };
}

function onWorker(fn) {
  return (state, news) => {
    const card = state.open.get(news.job_id);
    const worker = card?.workers.get(news.worker_name);
    if (worker === undefined) return state;
    const changed = fn(worker, news);
    if (changed === worker) return state;
    const workers = new Map(card.workers).set(worker.name, changed);
    return onCard(state, card.id, { workers });
  };
}

const FAILURES = new Set(["failed", "error"]);

/** Return what a card comes to: "running", "completed", "cancelled", "failed" or "lost". */
export function outcomeOf(card) {
  if (card.isLost) return "lost";
  if (card.endedAt === null) return "running";
  const statuses = Array.from(card.workers.values(), (worker) => worker.status);
  if (statuses.some((status) => FAILURES.has(status))) return "failed";
  return statuses.every((status) => status === "completed") ? "completed" : "cancelled";
}

/** Return how many findings a worker speaks of, or has sent. */
export function foundBy({ found, response, update }) {
  const told = [found, response?.found, update?.found].filter((count) => Number.isFinite(count));
  return Math.max(...told);
}

/** Return how a worker is doing: "running", "completed", "cancelled", "failed" or "lost". */
export function standingOf(worker, isLost) {
  if (worker.status === null) return isLost ? "lost" : "running";
  return FAILURES.has(worker.status)
    ? "failed"
    : worker.status === "completed"
      ? "completed"
      : "cancelled";
}

/** Return the findings of a worker, the best first, and of equally good ones the newest. */
export function ranked(worker) {
  return [...worker.findings].sort(
    (one, other) => other.score - one.score || other.number - one.number,
  );
}
