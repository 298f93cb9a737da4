// Building and changing the document. What comes from outside only ever becomes text.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with an id. */
export const byId = (id) => document.getElementById(id);

/**
 * Return a new element.
 *
 * Properties that begin with "on" are listeners, others attributes; null and false
 * leave an attribute out, true gives it an empty value. Children that are no nodes
 * become text.
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** Return a new SVG element; see `h`. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set an attribute, if it isn't so already; null and false remove it. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else {
    const text = value === true ? "" : String(value);
    if (node.getAttribute(name) !== text) node.setAttribute(name, text);
  }
}

/** Make a text all that is in a node, if it isn't already. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Show a node, or hide it. */
export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

/** Make a list of nodes all the children of a node, moving no more of them than must be. */
export function place(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

const viewsOf = new WeakMap();

/**
 * Make the children of a node those of a list, in its order, and keep those there are:
 * an element that stays keeps its focus, its selection and what was typed into it.
 *
 * `create(item)` returns `{node, update}`; `update(item)` is called each time.
 */
export function keyed(parent, items, keyOf, create) {
  const old = viewsOf.get(parent) ?? new Map();
  const views = new Map(items.map((item) => [keyOf(item), old.get(keyOf(item)) ?? create(item)]));
  viewsOf.set(parent, views);
  for (const item of items) views.get(keyOf(item)).update(item);
  place(
    parent,
    Array.from(views.values(), (view) => view.node),
  );
}

/** Whether a control can be used; one that can't keeps the focus. */
export function setUsable(button, isUsable) {
  setAttribute(button, "aria-disabled", isUsable ? null : "true");
}

/** Whether a click on a control is to be heeded. */
export const isUsable = (button) => button.getAttribute("aria-disabled") !== "true";
