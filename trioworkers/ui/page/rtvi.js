// A connection to an RTVI server that comes back by itself.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
/** Milliseconds in which a server opens, answers a handshake, or a question. */
const PATIENCE = 10_000;
/** Milliseconds between two looks whether the server is still there. */
const HEARTBEAT = 20_000;
/** The close code of a server that wants a token. */
const DENIED = 1008;
/** Messages without an answer whose error would still be told. */
const MOST_POSTED = 200;

let counter = 0;

/** Nobody knows what became of a question. */
class Unanswered extends Error {}

/**
 * Talks to a server. Its state is one of `{name: "connecting"}`, `{name: "ready"}`,
 * `{name: "waiting", until}` with the time of the next try, `{name: "denied"}` when the server
 * wants a token, and `{name: "closed"}`.
 */
export class Connection {
  #socket = null;
  #questions = new Map();
  #posted = new Map();
  #tries = 0;
  #timer = 0;
  #heart = 0;
  #url;
  #heed;

  /**
   * @param url Where the server is.
   * @param heed `{state(state), message(type, data)}`: told of states, and of each message that
   *   answers no question.
   */
  constructor(url, heed) {
    this.#url = url;
    this.#heed = heed;
    this.state = { name: "closed" };
  }

  /** Whether something can be sent. */
  get isReady() {
    return this.state.name === "ready" && this.#socket.readyState === WebSocket.OPEN;
  }

  /** Connect now, unless it is, or is about to be. */
  open() {
    if (this.#socket !== null) return;
    clearTimeout(this.#timer);
    this.#become({ name: "connecting" });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#leave(socket), PATIENCE);
    socket.onopen = () =>
      this.#put(newId(), "client-ready", {
        version: "2.0.0",
        about: { library: "trioworkers panel", library_version: "1" },
      });
    socket.onmessage = (event) => this.#socket === socket && this.#take(event.data);
    socket.onclose = (event) => this.#leave(socket, event.code);
  }

  /**
   * Ask the server something by a `client-message`.
   *
   * @returns What it answers.
   * @throws Error with a text for a person: it can't, it is away, or it doesn't answer.
   */
  ask(what, data = {}) {
    if (!this.isReady) return Promise.reject(new Unanswered("the server is away"));
    const id = newId();
    return new Promise((resolve, reject) => {
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#questions.delete(id);
        settle(value);
      };
      const timer = setTimeout(
        () => end(reject, new Unanswered("the server didn't answer")),
        PATIENCE,
      );
      this.#questions.set(id, {
        resolve: (value) => end(resolve, value),
        reject: (error) => end(reject, error),
      });
      this.#put(id, "client-message", { t: what, d: data });
    });
  }

  /** Return whether the server has read all that was sent until now; false if nobody knows. */
  async hasRead() {
    try {
      await this.ask("panel.hello");
    } catch (error) {
      return !(error instanceof Unanswered);
    }
    return true;
  }

  /** Send a message that has no answer, unless it is an error; false if the server is away. */
  post(type, data, onError = () => {}) {
    if (!this.isReady) return false;
    const id = newId();
    this.#posted.set(id, onError);
    if (this.#posted.size > MOST_POSTED) this.#posted.delete(this.#posted.keys().next().value);
    this.#put(id, type, data);
    return true;
  }

  #put(id, type, data) {
    this.#socket.send(JSON.stringify({ id, label: "rtvi-ai", type, data }));
  }

  #take(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message === null || message.label !== "rtvi-ai") return;
    const { id, type, data } = message;
    if (type === "bot-ready") this.#begin();
    else if (type === "server-response") this.#questions.get(id)?.resolve(data?.d);
    else if (type === "error-response" || (type === "error" && this.#knows(id))) {
      const why = typeof data?.error === "string" ? data.error : "it failed";
      this.#questions.get(id)?.reject(new Error(why));
      this.#posted.get(id)?.(why);
      this.#posted.delete(id);
    } else this.#heed.message(type, data ?? {});
  }

  #knows(id) {
    return this.#questions.has(id) || this.#posted.has(id);
  }

  #begin() {
    clearTimeout(this.#timer);
    this.#tries = 0;
    const socket = this.#socket;
    clearInterval(this.#heart);
    this.#heart = setInterval(() => this.#look(socket), HEARTBEAT);
    this.#become({ name: "ready" });
  }

  /** Leave a server that says nothing any more. */
  async #look(socket) {
    if (!(await this.hasRead())) this.#leave(socket);
  }

  #leave(socket, code = 0) {
    if (this.#socket !== socket) return;
    this.#socket = null;
    socket.close();
    clearTimeout(this.#timer);
    clearInterval(this.#heart);
    for (const question of [...this.#questions.values()]) {
      question.reject(new Unanswered("the connection was lost"));
    }
    this.#posted.clear();
    if (code === DENIED) {
      this.#become({ name: "denied" });
      return;
    }
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#tries);
    this.#tries += 1;
    const wait = most * (0.5 + Math.random() / 2);
    this.#timer = setTimeout(() => this.open(), wait);
    this.#become({ name: "waiting", until: Date.now() + wait });
  }

  #become(state) {
    this.state = state;
    this.#heed.state(state);
  }
}

const newId = () => `p${(counter += 1)}`;
