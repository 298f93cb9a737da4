// A name and a value in a list of such.

import { h, setText } from "./dom.js";

/** Return `{node, update([name, text])}`. */
export function factView() {
  const [name, value] = [h("dt"), h("dd")];
  const update = ([fact, text]) => {
    setText(name, fact);
    setText(value, text);
  };
  return { node: h("div", {}, name, value), update };
}
