// Task graphs: questions, a drawing with counts, a table of them, and traces.

import { h, keyed, place, setAttribute, setText, show } from "./dom.js";
import { Drawing } from "./drawing.js";
import { factView } from "./facts.js";
import { Questions } from "./questions.js";
import { lacking, number } from "./text.js";
import { TraceView } from "./trace.js";

const TOTALS = ["in_flight", "queued", "running", "retrying", "held", "done", "failed", "aborted"];
const COUNTS = [
  "queued",
  "running",
  "retrying",
  "held",
  "done",
  "failed",
  "aborted",
  "retries",
  "cached",
];
const ALWAYS = new Set(["in_flight", "queued", "running", "done", "failed"]);

/** Pixels round the drawing. */
const PADDING = 8;

/** Draws answers to `panel.graphs`. */
export class GraphsTab {
  #problem = h("p", { class: "problem", role: "alert", hidden: true });
  #empty = h(
    "p",
    { class: "empty" },
    "There are no graphs here. ",
    h("code", {}, "open_panel(graphs=[…])"),
    " shows some.",
  );
  #choice = h("div", { class: "choice", role: "group", "aria-label": "Graph" });
  #title = h("h2");
  #state = h("span", { class: "chip" });
  #totals = h("dl", { class: "facts" });
  #note = h("p", { class: "muted" });
  #more = h("p", { class: "muted" });
  #drawing = new Drawing();
  #place;
  #both;
  #head = h("tr");
  #body = h("tbody");
  #graph;
  #trace;
  #questions;
  #chosen = null;
  #last = null;

  constructor(panel, connection) {
    this.#questions = new Questions(connection);
    this.#trace = new TraceView(connection);
    this.#place = h(
      "div",
      { class: "wide drawing-place", role: "region", "aria-label": "Drawing", tabindex: "0" },
      this.#drawing.node,
    );
    const table = h(
      "table",
      { class: "counts" },
      h("caption", { class: "hidden" }, "Counts"),
      h("thead", {}, this.#head),
      this.#body,
    );
    const counts = h(
      "div",
      { class: "wide", role: "region", "aria-label": "Counts", tabindex: "0" },
      table,
    );
    this.#both = h("div", { class: "graph-body" }, this.#place, counts);
    const top = h("header", { class: "card-head" }, this.#title, this.#state);
    this.#graph = h(
      "section",
      { class: "sheet", hidden: true },
      top,
      this.#totals,
      this.#note,
      this.#both,
    );
    show(this.#trace.node, false);
    panel.append(
      this.#problem,
      this.#questions.node,
      this.#choice,
      this.#more,
      this.#empty,
      this.#graph,
      this.#trace.node,
    );
    new ResizeObserver(() => this.#drawGraph()).observe(panel);
  }

  /** How many questions are open. */
  questions = 0;

  draw({
    graphs = [],
    questions = [],
    more_graphs: moreGraphs = 0,
    more_questions: moreQuestions = 0,
  }) {
    show(this.#problem, false);
    this.questions = questions.length + moreQuestions;
    const names = new Map(graphs.map(({ id, name }) => [id, name]));
    this.#questions.draw(
      questions.map((one) => ({ ...one, graph: names.get(one.graph) ?? one.graph })),
    );
    setText(this.#more, lacking({ graphs: moreGraphs, questions: moreQuestions }));
    this.#last = graphs;
    const chosen =
      graphs.find(({ id }) => id === this.#chosen) ??
      graphs.find(({ running }) => running) ??
      graphs[0];
    show(this.#empty, graphs.length === 0);
    show(this.#choice, graphs.length > 1);
    this.#choose(chosen?.id ?? null);
  }

  #choose(id) {
    this.#chosen = id;
    keyed(
      this.#choice,
      this.#last,
      (graph) => graph.id,
      (graph) => this.#button(graph.id),
    );
    this.#drawGraph();
    this.#trace.follow(id);
  }

  fail(why) {
    setText(this.#problem, `The graphs can't be shown: ${why}.`);
    show(this.#problem, true);
  }

  #button(id) {
    const node = h("button", { type: "button", onclick: () => this.#choose(id) });
    const update = (graph) => {
      setText(node, graph.name);
      setAttribute(node, "aria-pressed", String(id === this.#chosen));
    };
    return { node, update };
  }

  /** Draw the table of counts, without columns that are 0 and mostly are. */
  #drawCounts(workers) {
    const columns = COUNTS.filter(
      (name) => ALWAYS.has(name) || workers.some(([, counts]) => counts[name]),
    );
    keyed(this.#head, ["worker", ...columns], (name) => name, titleView);
    const rows = workers.map(([worker, counts]) => ({ worker, counts, columns }));
    keyed(this.#body, rows, ({ worker }) => worker, countsView);
  }

  #drawGraph() {
    const graph = this.#last?.find(({ id }) => id === this.#chosen);
    show(this.#graph, graph !== undefined);
    show(this.#trace.node, graph !== undefined);
    if (graph === undefined || !this.#both.clientWidth) return;
    setText(this.#title, graph.worker ? `${graph.name} of ${graph.worker}` : graph.name);
    setText(this.#state, graph.running ? "Running" : "Not running");
    setAttribute(this.#graph, "data-running", graph.running);
    const totals = TOTALS.filter((name) => ALWAYS.has(name) || graph.totals[name]);
    keyed(
      this.#totals,
      totals.map((name) => [name.replaceAll("_", " "), number(graph.totals[name] ?? 0)]),
      ([name]) => name,
      factView,
    );
    this.#drawing.draw(graph, this.#both.clientWidth - 2 * PADDING);
    setAttribute(this.#both, "data-direction", this.#drawing.direction);
    setText(this.#note, lacking({ boxes: graph.more_boxes, arrows: graph.more_arrows }));
    this.#drawCounts(Object.entries(graph.workers));
  }
}

function titleView() {
  const node = h("th", { scope: "col" });
  return { node, update: (name) => setText(node, name) };
}

function countsView() {
  const name = h("th", { scope: "row" });
  const node = h("tr", {}, name);
  const cells = new Map(COUNTS.map((count) => [count, h("td")]));
  const update = ({ worker, counts, columns }) => {
    setText(name, worker);
    for (const column of columns) {
      const [cell, count] = [cells.get(column), counts[column] ?? 0];
      setText(cell, number(count));
      setAttribute(cell, "class", count ? (column === "failed" ? "has bad" : "has") : null);
    }
    place(node, [name, ...columns.map((column) => cells.get(column))]);
  };
  return { node, update };
}
