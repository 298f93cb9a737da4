// What became of one task, and of all that came of it.

import { h, keyed, setAttribute, setText, show, svg } from "./dom.js";
import { Poll } from "./poll.js";
import { counted, duration, number, pairsOf } from "./text.js";

/** Pixels of the time of all tasks, and of something that took none. */
const WIDTH = 120;
const LEAST = 1.5;
let instances = 0;

/** A form for a provenance, and the trace of it. */
export class TraceView {
  #connection;
  #graph = null;
  #wanted = null;
  #trace = null;
  #poll;
  #box;
  #problem = h("p", { class: "problem", role: "alert", hidden: true });
  #summary = h("p", { class: "muted", role: "status" });
  #body = h("tbody");
  #table;

  constructor(connection) {
    this.#connection = connection;
    const id = `trace-${(instances += 1)}`;
    this.#box = h("input", {
      id,
      type: "text",
      placeholder: "InitialTaskWorker:1",
      spellcheck: "false",
      autocomplete: "off",
      required: true,
    });
    const form = h(
      "form",
      { class: "line-form", onsubmit: (event) => this.#submit(event) },
      h("label", { for: id }, "Provenance of a task"),
      h(
        "div",
        { class: "joined" },
        this.#box,
        h("button", { type: "submit", class: "quiet" }, "Trace"),
      ),
    );
    const names = ["Task", "For", "Waited", "Took", "Outcome", "When"];
    const head = h("tr", {}, ...names.map((name) => h("th", { scope: "col" }, name)));
    const table = h(
      "table",
      { class: "trace" },
      h("caption", { class: "hidden" }, "Trace"),
      h("thead", {}, head),
      this.#body,
    );
    this.#table = h(
      "div",
      { class: "wide", role: "region", "aria-label": "Trace", tabindex: "0", hidden: true },
      table,
    );
    this.node = h(
      "section",
      { class: "sheet" },
      h("h2", {}, "Trace"),
      form,
      this.#problem,
      this.#summary,
      this.#table,
    );
    this.#poll = new Poll(
      () => this.#look(),
      () => this.#isWanted(),
    );
  }

  /** Show traces of another graph, or go on with those of this one. */
  follow(graph) {
    if (graph !== this.#graph) {
      this.#graph = graph;
      this.#wanted = this.#trace = null;
      this.#draw();
    }
    this.#poll.now();
  }

  #isWanted() {
    return (
      this.#wanted !== null &&
      !this.#trace?.is_complete &&
      this.#connection.isReady &&
      this.node.checkVisibility()
    );
  }

  #submit(event) {
    event.preventDefault();
    this.#wanted = this.#box.value.trim();
    this.#trace = null;
    this.#poll.now();
  }

  async #look() {
    const [graph, provenance] = [this.#graph, this.#wanted];
    let [trace, why] = [null, null];
    try {
      trace = await this.#connection.ask("panel.trace", { graph, provenance });
    } catch (error) {
      why = error.message;
    }
    if (graph !== this.#graph || provenance !== this.#wanted) return true;
    if (why !== null && this.#connection.isReady) {
      this.#wanted = null;
      setText(this.#problem, why);
    }
    show(this.#problem, why !== null);
    this.#trace = trace ?? this.#trace;
    this.#draw();
    return true;
  }

  #draw() {
    const trace = this.#trace;
    show(this.#table, Boolean(trace?.tasks.length));
    if (trace === null) {
      setText(this.#summary, "");
      return;
    }
    const more =
      trace.count > trace.tasks.length
        ? `, the first ${number(trace.tasks.length)} of them below`
        : "";
    setText(
      this.#summary,
      `${trace.prefix}: ${counted(trace.count, "task")}${more}, ${trace.is_complete ? "complete" : "not complete yet"}`,
    );
    const ends = trace.tasks.map((task) => task.ended ?? task.began ?? task.queued);
    const span = Math.max(0.001, ...ends);
    const depth = pairsOf(trace.prefix).length;
    const rows = trace.tasks.map((task, index) => ({ ...task, index, span, depth }));
    keyed(this.#body, rows, (row) => row.index, rowView);
  }
}

function rowView() {
  const name = h("th", { scope: "row" });
  const cells = Array.from({ length: 4 }, () => h("td"));
  const waits = svg("rect", { class: "part-queued", y: 4, height: 6, rx: 2 });
  const works = svg("rect", { class: "part-done", y: 4, height: 6, rx: 2 });
  const bar = svg(
    "svg",
    { class: "when", width: WIDTH, height: 14, "aria-hidden": "true" },
    waits,
    works,
  );
  const node = h("tr", {}, name, ...cells, h("td", {}, bar));

  function update({ provenance, worker, type, queued, began, ended, outcome, tries, span, depth }) {
    const path = pairsOf(provenance);
    setAttribute(name, "data-depth", Math.min(6, Math.max(0, path.length - depth)));
    setText(name, `${path.at(-1)} ${type}`);
    name.title = provenance;
    const took = (from, to) => (from === null || to === null ? "–" : duration((to - from) * 1000));
    const texts = [
      worker,
      took(queued, began),
      took(began, ended),
      tries > 1 ? `${outcome} (try ${tries})` : outcome,
    ];
    texts.forEach((text, index) => setText(cells[index], text));
    setAttribute(node, "data-outcome", /fail|error/i.test(outcome) ? "failed" : null);
    draw(waits, queued, began ?? ended ?? span, span);
    setAttribute(works, "visibility", began === null ? "hidden" : null);
    draw(works, began ?? span, ended ?? span, span);
  }

  return { node, update };
}

function draw(rect, from, to, span) {
  const at = (time) => Math.max(0, Math.min(WIDTH, (time / span) * WIDTH));
  setAttribute(rect, "x", at(from).toFixed(1));
  setAttribute(rect, "width", Math.max(to < from ? 0 : LEAST, at(to) - at(from)).toFixed(1));
}
