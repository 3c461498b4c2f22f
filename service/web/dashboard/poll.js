/** Asking again and again: one request at a time, none while nobody looks, and fewer while there is no answer. */

/** A request that takes longer has failed. */
const PATIENCE_MS = 10_000;
const LONGEST_WAIT_MS = 15_000;

/**
 * @typedef {{
 *   ask: (signal: AbortSignal) => Promise<void>, every_ms: () => number, failed: (error: unknown) => void
 * }} Errand What to ask, how long after an answer to ask again, and what to do if there was none.
 */

export class Poll {
  /** @type {Errand} */ #errand;
  /** @type {AbortController|null} Of the request that is under way. */ #asking = null;
  #timer = 0;
  #failures = 0;
  #paused = false;
  #again = false;

  /** @param {Errand} errand */
  constructor(errand) {
    this.#errand = errand;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#rest();
      else if (!this.#paused) this.now();
    });
  }

  get paused() {
    return this.#paused;
  }

  /** Ask once, now; an answer that is still awaited is no longer wanted. */
  now() {
    this.#rest();
    if (this.#asking) {
      this.#again = true;
      this.#asking.abort();
    } else {
      this.#ask();
    }
  }

  pause() {
    this.#paused = true;
    this.#rest();
  }

  resume() {
    this.#paused = false;
    this.now();
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  async #ask() {
    const asking = new AbortController();
    this.#asking = asking;
    const late = setTimeout(() => asking.abort(new Error("it took too long")), PATIENCE_MS);
    try {
      await this.#errand.ask(asking.signal);
      this.#failures = 0;
    } catch (error) {
      if (!this.#again) this.#fail(error);
    }
    clearTimeout(late);
    this.#asking = null;
    if (this.#again) {
      this.#again = false;
      this.#ask();
    } else if (!this.#paused && !document.hidden) {
      this.#timer = setTimeout(() => this.#ask(), this.#wait_ms());
    }
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#failures += 1;
    this.#errand.failed(error);
  }

  /** Twice as long after each failure: a service that starts again has better things to do. */
  #wait_ms() {
    return Math.min(this.#errand.every_ms() * 2 ** this.#failures, LONGEST_WAIT_MS);
  }
}
