// What handlers of graphs want to know from a person.

import { announce } from "./announce.js";
import { now } from "./clock.js";
import { h, isUsable, keyed, setAttribute, setText, setUsable, show } from "./dom.js";
import { ago, capitalized, counted, size } from "./text.js";
import { fileType, textType, upload } from "./uploads.js";

/** Draws the questions of `panel.graphs`. */
export class Questions {
  #connection;
  #title = h("h2", { tabindex: "-1" });
  #list = h("div", { class: "stack" });
  #known = new Set();

  constructor(connection) {
    this.#connection = connection;
    this.node = h("section", { class: "questions", hidden: true }, this.#title, this.#list);
  }

  draw(questions) {
    const fresh = questions.filter(({ id }) => !this.#known.has(id));
    if (fresh.length) announce(`${counted(fresh.length, "new question")} on the Graphs tab.`);
    this.#known = new Set(questions.map(({ id }) => id));
    const wasHere = this.#list.contains(document.activeElement);
    keyed(
      this.#list,
      questions,
      (question) => question.id,
      (question) => questionView(question, this.#connection),
    );
    setText(this.#title, counted(questions.length, "question"));
    show(this.node, questions.length > 0);
    if (wasHere && !this.#list.contains(document.activeElement)) {
      (questions.length
        ? this.#title
        : document.querySelector("[role=tab][aria-selected=true]")
      ).focus();
    }
  }
}

function questionView(
  { id, graph, worker, provenance, instruction, accepted_mime_types: accepted },
  connection,
) {
  const typed = textType(accepted);
  const ids = { title: `question-${id}`, text: `answer-${id}`, file: `file-${id}` };
  const since = h("span", { class: "muted" });
  const text = h("textarea", { id: ids.text, rows: "3" });
  const file = h("input", { id: ids.file, type: "file", accept: accepted.join(",") });
  const send = h("button", { type: "submit", class: "primary" }, "Answer");
  const stop = h(
    "button",
    { type: "button", class: "quiet", hidden: true, onclick: () => aborter?.abort() },
    "Stop the upload",
  );
  const bar = h("progress", { hidden: true, "aria-label": "Upload" });
  const status = h("p", { class: "muted", role: "status" });
  const problem = h("p", { class: "problem", role: "alert" });
  let aborter = null;

  const field = (label, control) =>
    h("div", { class: "field" }, h("label", { for: control.id }, label), control);
  const node = h(
    "article",
    { class: "card sheet question", "aria-labelledby": ids.title },
    h("header", { class: "card-head" }, h("h3", { id: ids.title }, `${worker} asks`), since),
    h("p", { class: "instruction" }, instruction),
    h(
      "p",
      { class: "muted about" },
      h("span", {}, `Graph ${graph}`),
      h("span", {}, "About ", h("code", {}, provenance)),
    ),
    h(
      "form",
      { onsubmit: answer },
      typed === null ? null : field("Answer", text),
      field(typed === null ? `File: ${accepted.join(", ")}` : "Or a file", file),
      bar,
      problem,
      h("div", { class: "composer-row" }, status, stop, send),
    ),
  );

  async function answer(event) {
    event.preventDefault();
    if (!isUsable(send)) return;
    setText(problem, "");
    const chosen = file.files[0];
    if (chosen === undefined && (typed === null || !text.value.trim())) {
      setText(problem, typed === null ? "Choose a file." : "Type an answer, or choose a file.");
      (typed === null ? file : text).focus();
      return;
    }
    setUsable(send, false);
    try {
      if (chosen !== undefined) await sendFile(chosen);
      else
        await connection.ask("panel.answer", { question: id, text: text.value, mime_type: typed });
      setText(status, "Answered.");
    } catch (error) {
      setText(status, "");
      setText(problem, capitalized(error.message));
      setUsable(send, true);
    }
  }

  async function sendFile(chosen) {
    const mimeType = fileType(accepted, chosen);
    aborter = new AbortController();
    setAttribute(bar, "max", Math.max(1, chosen.size));
    setAttribute(bar, "value", 0);
    show(bar, true);
    show(stop, true);
    setText(status, `Sending ${size(chosen.size)}…`);
    try {
      await upload(connection, id, chosen, mimeType, {
        onProgress: (received) => setAttribute(bar, "value", received),
        signal: aborter.signal,
      });
    } finally {
      show(bar, false);
      show(stop, false);
    }
  }

  const update = (question) => setText(since, `asked ${ago(now() - question.asked_at)}`);
  return { node, update };
}
