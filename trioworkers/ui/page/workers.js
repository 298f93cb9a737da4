// The tree of workers, with what each of them is doing.

import { h, keyed, setAttribute, setText, show } from "./dom.js";
import { factView } from "./facts.js";
import { entries, lacking, number } from "./text.js";

const COLUMNS = [
  "Worker",
  "Active",
  "Waiting",
  "Groups",
  "System lane",
  "Data lane",
  "Pool",
  "Errors",
];

/** Figures of the bus that are shown, of those that are not 0. */
const MOST_COUNTERS = 6;

/** Draws answers to `panel.workers`. */
export class WorkersTab {
  #problem = h("p", { class: "problem", role: "alert", hidden: true });
  #facts = h("dl", { class: "facts" });
  #note = h("p", { class: "muted" });
  #body = h("tbody", { role: "rowgroup" });
  #remote = h("section", { class: "sheet", hidden: true });
  #remoteList = h("ul", { class: "remote" });

  constructor(panel) {
    const head = COLUMNS.map((name) => h("th", { scope: "col", role: "columnheader" }, name));
    const table = h(
      "table",
      { class: "workers", role: "table", "aria-label": "Workers" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)),
      this.#body,
    );
    this.#remote.append(h("h2", {}, "In other processes"), this.#remoteList);
    const sheet = h(
      "section",
      { class: "sheet" },
      h("h2", {}, "Workers"),
      this.#facts,
      this.#note,
      table,
    );
    panel.append(this.#problem, sheet, this.#remote);
  }

  draw({
    runner,
    workers = [],
    remote = [],
    bus = {},
    more_workers: more = 0,
    more_remote: moreRemote = 0,
  }) {
    show(this.#problem, false);
    const active = workers.reduce((sum, worker) => sum + worker.active_jobs, 0);
    const { class: kind, ...counters } = bus;
    const counts = entries(counters)
      .filter(([, count]) => count !== "0")
      .slice(0, MOST_COUNTERS);
    const facts = [
      ["runner", runner],
      ["workers", number(workers.length + more)],
      ["active jobs", number(active)],
      ["bus", kind],
    ];
    keyed(this.#facts, [...facts, ...counts], ([name]) => name, factView);
    setText(this.#note, lacking({ workers: more, "workers elsewhere": moreRemote }));
    keyed(this.#body, inTree(workers), ({ worker }) => worker.name, workerView);
    keyed(this.#remoteList, remote, (one) => one.name, remoteView);
    show(this.#remote, remote.length > 0);
  }

  fail(why) {
    setText(this.#problem, `The workers can't be shown: ${why}.`);
    show(this.#problem, true);
  }
}

/** Return workers with their depths, each below its parent. */
function inTree(workers) {
  const names = new Set(workers.map((worker) => worker.name));
  const children = new Map();
  for (const worker of workers) {
    const parent = names.has(worker.parent) && worker.parent !== worker.name ? worker.parent : null;
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(worker);
  }
  const found = [];
  const visit = (name, depth) => {
    for (const worker of children.get(name) ?? []) {
      found.push({ worker, depth });
      visit(worker.name, depth + 1);
    }
  };
  visit(null, 0);
  return found;
}

function workerView() {
  const name = h("span", { class: "name" });
  const kind = h("span", { class: "kind" });
  const below = h("span", { class: "hidden" });
  const jobs = h("ul", { class: "jobs", "aria-label": "Jobs" });
  const first = h(
    "th",
    { scope: "row", role: "rowheader" },
    h("div", { class: "who" }, name, kind, below),
    jobs,
  );
  const cells = COLUMNS.slice(1).map((title) => h("td", { role: "cell", "data-title": title }));
  const node = h("tr", { role: "row" }, first, ...cells);

  function update({ worker, depth }) {
    setAttribute(first, "data-depth", Math.min(depth, 6));
    setText(name, worker.name);
    setText(kind, worker.class);
    setText(below, depth ? `, child of ${worker.parent}` : "");
    keyed(jobs, counted(worker.jobs ?? []), ([text]) => text, jobView);
    show(jobs, (worker.jobs ?? []).length > 0);
    const { pool } = worker;
    const figures = [
      worker.active_jobs,
      worker.waiting_jobs,
      worker.job_groups,
      worker.system_lane,
      worker.data_lane,
      pool ? `${number(pool.busy)} of ${number(pool.size)} busy` : "–",
      worker.hook_errors,
    ];
    figures.forEach((value, index) => {
      setText(cells[index], typeof value === "string" ? value : number(value ?? 0));
      setAttribute(cells[index], "class", value && value !== "–" ? "has" : null);
    });
    setAttribute(node, "class", worker.active_jobs || pool?.busy ? "busy" : null);
    setAttribute(cells[6], "class", worker.hook_errors ? "has bad" : null);
  }

  return { node, update };
}

/** Return jobs as texts with their counts. */
function counted(jobs) {
  const counts = new Map();
  for (const { name, source } of jobs) {
    const text = `${name ?? "job"} for ${source}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts];
}

function jobView() {
  const node = h("li");
  return { node, update: ([text, count]) => setText(node, count > 1 ? `${text} ×${count}` : text) };
}

function remoteView() {
  const [name, where] = [h("span", { class: "name" }), h("span", { class: "muted" })];
  const update = (one) => {
    setText(name, one.name);
    const parent = one.parent ? `, child of ${one.parent}` : "";
    setText(where, `on ${one.runner}${parent}${one.active ? "" : ", not active"}`);
  };
  return { node: h("li", {}, name, where), update };
}
