// A graph drawn: boxes with counts, and arrows.

import { setAttribute, setText, svg } from "./dom.js";
import { layout } from "./layout.js";
import { number, shorten } from "./text.js";

const HEIGHTS = { end: 34, sink: 40 };
const HEIGHT = 76;
/** Pixels of a letter in a box, on average. */
const LETTER = 7.6;
const LONGEST = 26;
const MARGIN = 14;
/** What is too wide is drawn smaller, until it can't be read; then it scrolls. */
const LEAST_SCALE = 0.86;
const STRIP = 4;

/** The order of the parts of the strip in a box. */
const PARTS = ["done", "running", "queued", "failed"];

/** Draws one graph; makes the drawing anew only if the graph is another one. */
export class Drawing {
  #drawn = "";
  #views = new Map();

  constructor() {
    this.node = svg("svg", { class: "drawing", role: "img", focusable: "false" });
  }

  /** Which way it is drawn: "across" if there is room, else "down". */
  direction = "across";

  /** Draw a graph of `panel.graphs` for a place of so many pixels. */
  draw(graph, width) {
    const drawn = JSON.stringify([graph.name, graph.boxes, graph.arrows, width]);
    if (drawn !== this.#drawn) this.#make(graph, width);
    this.#drawn = drawn;
    for (const [worker, view] of this.#views) view(graph.workers?.[worker] ?? {});
  }

  #make(graph, room) {
    const boxes = graph.boxes.map(sized);
    const across = layout(boxes, graph.arrows, "across");
    this.direction = across.width + 2 * MARGIN <= room / LEAST_SCALE ? "across" : "down";
    const { direction } = this;
    const { width, height, places, ways } =
      direction === "across" ? across : layout(boxes, graph.arrows, "down");
    const [fullWidth, fullHeight] = [Math.ceil(width) + 2 * MARGIN, Math.ceil(height) + 2 * MARGIN];
    const scale = Math.max(LEAST_SCALE, Math.min(1, room / fullWidth));
    setAttribute(this.node, "viewBox", `${-MARGIN} ${-MARGIN} ${fullWidth} ${fullHeight}`);
    setAttribute(this.node, "width", Math.floor(fullWidth * scale));
    setAttribute(this.node, "height", Math.floor(fullHeight * scale));
    setAttribute(
      this.node,
      "aria-label",
      `Drawing of graph ${graph.name}. The table below has its counts.`,
    );
    this.#views.clear();
    const lines = ways.map((way) =>
      svg("path", { class: "arrow", d: curve(way, direction), "marker-end": "url(#tip)" }),
    );
    const labels = graph.arrows.map((arrow, index) => label(arrow.text, ways[index]));
    const nodes = boxes.map((box) => this.#box(box, places.get(box.key)));
    const tip = svg(
      "marker",
      {
        id: "tip",
        viewBox: "0 0 8 8",
        refX: 7.5,
        refY: 4,
        markerWidth: 7,
        markerHeight: 7,
        orient: "auto",
      },
      svg("path", { class: "tip", d: "M0 0.5 8 4 0 7.5z" }),
    );
    const parts = [...lines, ...labels.filter((one) => one !== null), ...nodes];
    this.node.replaceChildren(svg("defs", {}, tip), ...parts);
  }

  #box(box, { x, y }) {
    const { width, height, kind, text, worker } = box;
    const [left, top] = [x - width / 2, y - height / 2];
    const hasCounts = !(kind in HEIGHTS);
    const shape = svg("path", { class: "outline", d: outline(kind, width, height) });
    const title = svg(
      "text",
      { class: "box-name", x: width / 2, y: hasCounts ? 25 : height / 2 + 4.5 },
      shorten(text, LONGEST),
    );
    const node = svg(
      "g",
      { class: `box box-${kind}`, transform: `translate(${left} ${top})` },
      svg("title", {}, text),
      shape,
      title,
    );
    if (hasCounts) {
      const [now, past] = [44, 60].map((at) =>
        svg("text", { class: "box-count", x: width / 2, y: at }),
      );
      const strip = svg("g", {
        transform: `translate(${kind === "join" ? 22 : 12} ${height - STRIP - 5})`,
      });
      const length = width - (kind === "join" ? 44 : 24);
      node.append(now, past, strip);
      this.#views.set(worker ?? text, (counts) =>
        drawCounts(node, now, past, strip, length, counts),
      );
    }
    return node;
  }
}

function sized(box) {
  const letters = Math.min(box.text.length, LONGEST);
  const wide = box.kind in HEIGHTS ? 84 : 156;
  const width = Math.max(wide, letters * LETTER + (box.kind === "join" ? 48 : 32));
  return { ...box, width, height: HEIGHTS[box.kind] ?? HEIGHT };
}

function drawCounts(node, now, past, strip, length, counts) {
  const count = (name) => counts[name] ?? 0;
  const some = (names) =>
    names.filter((name) => count(name)).map((name) => `${number(count(name))} ${name}`);
  setText(now, some(["running", "queued", "retrying", "held"]).join(" · ") || "idle");
  const ended = [`${number(count("done"))} done`, ...some(["failed", "aborted", "cached"])];
  setText(past, ended.join(" · "));
  const state = count("failed") ? "failed" : count("running") ? "running" : null;
  setAttribute(node, "data-state", state);
  const shares = {
    done: count("done"),
    running: count("running") + count("retrying"),
    queued: count("queued") + count("held"),
    failed: count("failed") + count("aborted"),
  };
  const all = PARTS.reduce((sum, part) => sum + shares[part], 0);
  let at = 0;
  strip.replaceChildren(
    ...PARTS.filter((part) => shares[part]).map((part) => {
      const width = (length * shares[part]) / all;
      at += width;
      return svg("rect", {
        class: `part-${part}`,
        x: at - width,
        y: 0,
        width,
        height: STRIP,
        rx: 1.5,
      });
    }),
  );
}

function outline(kind, width, height) {
  if (kind === "end") return rounded(width, height, height / 2);
  if (kind !== "join") return rounded(width, height, kind === "sink" ? 6 : 10);
  const tip = 12;
  return `M${tip} 0H${width - tip}L${width} ${height / 2}L${width - tip} ${height}H${tip}L0 ${height / 2}z`;
}

function rounded(width, height, radius) {
  const turn = (x, y) => `a${radius} ${radius} 0 0 1 ${x * radius} ${y * radius}`;
  const [long, high] = [width - 2 * radius, height - 2 * radius];
  return `M${radius} 0h${long}${turn(1, 1)}v${high}${turn(-1, 1)}h${-long}${turn(-1, -1)}v${-high}${turn(1, -1)}z`;
}

/** Return a path through points that leaves and enters along the drawing's direction. */
function curve(points, direction) {
  if (points.length === 0) return "";
  const parts = [`M${points[0].x} ${points[0].y}`];
  for (let index = 1; index < points.length; index += 1) {
    const [from, to] = [points[index - 1], points[index]];
    const [mx, my] = [(from.x + to.x) / 2, (from.y + to.y) / 2];
    const [one, other] =
      direction === "across"
        ? [`${mx} ${from.y}`, `${mx} ${to.y}`]
        : [`${from.x} ${my}`, `${to.x} ${my}`];
    parts.push(`C${one} ${other} ${to.x} ${to.y}`);
  }
  return parts.join("");
}

function label(text, way) {
  if (!text || way.length < 2) return null;
  const [from, to] = way;
  const node = svg(
    "text",
    { class: "arrow-text", x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 - 4 },
    shorten(text, 18),
  );
  node.append(svg("title", {}, text));
  return node;
}
