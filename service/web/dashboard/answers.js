/** How requests ended: lists by code, by reason and by transport, each line with a bar. */

import { byId, make } from "../elements.js";
import { partedBar, placeAt, setShare, write } from "./fill.js";
import { count, share } from "./units.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {Record<string, number>} Counts */

const FAULTS =
  /^(5\d\d|internal|engine_unavailable|deadline_exceeded|storage_full|INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|UNKNOWN|DATA_LOSS)$/;
/** Status codes of HTTP, and the names of gRPC's but OK. */
const REFUSALS = /^(4\d\d|[A-Z_]{3,})$/;

/** What a kind of error means to those who run the service. */
const REASONS = new Map([
  ["overloaded", "a queue or all permits were taken"],
  ["deadline_exceeded", "it took longer than the caller would wait, or the caller was too slow"],
  ["cancelled", "the caller left"],
  ["rate_limited", "a caller asked too often"],
  ["engine_unavailable", "the engine did not answer"],
  ["storage_full", "the disk had no room for a video"],
  ["internal", "a fault of the service: see its log"],
  ["invalid_image", "no image that can be read"],
  ["too_large", "beyond a limit"],
  ["version_not_ready", "still loading, or failed to load"],
  ["model_not_found", "no such model or version"],
  ["invalid_parameters", "a parameter makes no sense"],
  ["unsupported_media_type", "a type that is not taken"],
]);

/**
 * Make the lists of answers, and give what fills them.
 * @returns {(history: History) => void}
 */
export function makeAnswers() {
  const place = byId("answers-lists");
  const codes = new Tally(place, "By code", "Nothing was asked in this window.");
  const reasons = new Tally(place, "Why there was no answer", "Every request was answered.");
  const transports = new Tally(place, "By transport", "Nothing was asked in this window.");
  return ({ window }) => {
    codes.show(window.codes);
    reasons.show(window.reasons);
    transports.show(window.transports);
  };
}

/** One list, the most frequent first; its elements stay as long as what they show does. */
class Tally {
  #list = make("ul", "tally");
  /** @type {HTMLElement} */ #none;
  /** @type {Map<string, {item: HTMLElement, part: HTMLElement, figure: HTMLElement}>} */ #items = new Map();

  /**
   * @param {HTMLElement} place
   * @param {string} title
   * @param {string} absence
   */
  constructor(place, title, absence) {
    this.#none = make("p", "aside", absence);
    place.append(make("div", "", make("h3", "", title), this.#list, this.#none));
  }

  /** @param {Counts} counts */
  show(counts) {
    const entries = Object.entries(counts).filter(([, times]) => times > 0).sort(([, a], [, b]) => b - a);
    const all = entries.reduce((sum, [, times]) => sum + times, 0);
    this.#none.hidden = entries.length > 0;
    for (const [name, { item }] of this.#items) {
      if (counts[name] > 0) continue;
      item.remove();
      this.#items.delete(name);
    }
    entries.forEach(([name, times], place) => {
      const { item, part, figure } = this.#items.get(name) ?? this.#add(name);
      placeAt(this.#list, item, place);
      setShare(part, "--length", times / all);
      write(figure, `${count(times)} · ${share(times / all)}`);
    });
  }

  /** @param {string} name */
  #add(name) {
    const part = partedBar("share-bar", "part");
    const figure = make("span", "figure", "");
    const meaning = REASONS.get(name);
    const item = make("li", toneOf(name), make("span", "name", name), figure, part);
    if (meaning) item.append(make("span", "detail", meaning));
    const parts = { item, part, figure };
    this.#items.set(name, parts);
    return parts;
  }
}

/**
 * Whether a code or a reason is a fault of the service, another refusal, or neither.
 * @param {string} name
 */
function toneOf(name) {
  if (FAULTS.test(name)) return "fault";
  return REASONS.has(name) || REFUSALS.test(name) ? "refusal" : "";
}
