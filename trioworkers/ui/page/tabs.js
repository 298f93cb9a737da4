// Tabs as the keyboard knows them: arrow keys, Home and End.

import { byId, setAttribute, show } from "./dom.js";

export class Tabs {
  #tabs;
  #onSelect;

  /** Call `onSelect(name)` when there is another tab; a name is the end of its id. */
  constructor(list, onSelect) {
    this.#tabs = Array.from(list.querySelectorAll("[role=tab]"));
    this.#onSelect = onSelect;
    this.selected = null;
    for (const tab of this.#tabs) tab.addEventListener("click", () => this.select(nameOf(tab)));
    list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Offer the tabs with these names, and no others. */
  offer(names) {
    for (const tab of this.#tabs) show(tab, names.includes(nameOf(tab)));
    if (!names.includes(this.selected)) this.select(names[0]);
  }

  /** Whether there is a tab of that name. */
  offers(name) {
    return this.selected !== null && this.#tabs.some((tab) => nameOf(tab) === name && !tab.hidden);
  }

  /** Go to a tab; nothing if there is none of that name. */
  select(name) {
    const chosen = this.#tabs.find((tab) => nameOf(tab) === name && !tab.hidden);
    if (chosen === undefined || name === this.selected) return;
    this.selected = name;
    for (const tab of this.#tabs) {
      setAttribute(tab, "aria-selected", String(tab === chosen));
      setAttribute(tab, "tabindex", tab === chosen ? "0" : "-1");
      show(byId(tab.getAttribute("aria-controls")), tab === chosen);
    }
    this.#onSelect(name);
  }

  #onKey(event) {
    const tabs = this.#tabs.filter((tab) => !tab.hidden);
    const at = tabs.indexOf(document.activeElement);
    const last = tabs.length - 1;
    const next = {
      ArrowRight: at === last ? 0 : at + 1,
      ArrowLeft: at === 0 ? last : at - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined || at < 0) return;
    event.preventDefault();
    tabs[next].focus();
    this.select(nameOf(tabs[next]));
  }
}

const nameOf = (tab) => tab.id.replace("tab-", "");
