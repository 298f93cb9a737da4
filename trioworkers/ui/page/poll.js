// Asking the server again and again, while somebody looks.

/** Milliseconds from an answer to the next question, and from an error. */
export const PAUSE = 1000;
const PAUSE_AFTER_ERROR = 3000;

export class Poll {
  #timer = 0;
  #isAsking = false;
  #ask;
  #isWanted;
  #pause;

  /**
   * @param ask Asks and shows the answer; returns whether it could.
   * @param isWanted Whether somebody looks.
   * @param pause Returns the milliseconds from an answer to the next question.
   */
  constructor(ask, isWanted, pause = () => PAUSE) {
    this.#ask = ask;
    this.#isWanted = isWanted;
    this.#pause = pause;
    document.addEventListener("visibilitychange", () => this.now());
  }

  /** Ask now, unless nobody looks. */
  async now() {
    clearTimeout(this.#timer);
    if (this.#isAsking || document.hidden || !this.#isWanted()) return;
    this.#isAsking = true;
    const isDone = await this.#ask();
    this.#isAsking = false;
    this.#timer = setTimeout(() => this.now(), isDone ? this.#pause() : PAUSE_AFTER_ERROR);
  }
}
