// What a worker has found: the best few, and all if wanted.

import { h, keyed, setText, show } from "./dom.js";
import { foundBy, ranked } from "./groups.js";
import { number, readable, shorten } from "./text.js";

/** Findings that are shown at first. */
const FEW = 3;

/** Return `{node, update(worker)}`. */
export function findingsView() {
  const list = h("ol", { class: "findings" });
  const toggle = h("button", {
    type: "button",
    class: "link",
    "aria-expanded": "false",
    onclick: turn,
  });
  const node = h("div", { class: "found" }, list, toggle);
  let worker = null;
  let isWide = false;

  function turn() {
    isWide = !isWide;
    toggle.setAttribute("aria-expanded", String(isWide));
    update(worker);
  }

  function update(now) {
    worker = now;
    const all = ranked(worker);
    keyed(list, isWide ? all : all.slice(0, FEW), (finding) => finding.number, findingView);
    list.classList.toggle("all", isWide);
    show(node, all.length > 0);
    show(toggle, all.length > FEW);
    const found = foundBy(worker);
    const kept =
      found > all.length
        ? `the best ${number(all.length)} of ${number(found)}`
        : `all ${number(all.length)}`;
    setText(toggle, isWide ? "Show fewer" : `Show ${kept}`);
    toggle.setAttribute("aria-label", `${toggle.textContent} findings of ${worker.name}`);
  }

  return { node, update };
}

/** A finding never changes. */
function findingView({ data }) {
  const isPlace = typeof data?.where === "string" && typeof data?.excerpt === "string";
  const parts = isPlace
    ? [
        h("span", { class: "where" }, shorten(data.where, 200)),
        data.matches > 1 ? h("span", { class: "times" }, `×${number(data.matches)}`) : null,
        h("span", { class: "excerpt" }, shorten(data.excerpt, 1000)),
      ]
    : [h("span", { class: "excerpt" }, readable(data))];
  return { node: h("li", {}, ...parts), update() {} };
}
