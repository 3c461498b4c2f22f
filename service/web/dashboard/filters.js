/** The controls: which window, task, model and version are shown. */

import { byId, make, shownName } from "../elements.js";
import { SPANS } from "./choice.js";

/** @typedef {import("./choice.js").Choice} Choice */
/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").ServedModel} ServedModel */

/** Version 10 comes after version 9. */
const ORDER = new Intl.Collator("en", { numeric: true });
/** @type {Map<string, string>} What each list offers. */
const offered = new Map();

export class Filters {
  /** @type {(change: Partial<Choice>) => void} */ #choose;

  /** @param {(change: Partial<Choice>) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    byId("spans").replaceChildren(...SPANS.map((span) => this.#makeSpan(span)));
    byId("choice").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    listen("task", (task) => choose({ task, model: "", version: "" }));
    listen("model", (model) => choose({ model, version: "" }));
    listen("version", (version) => choose({ version }));
  }

  /**
   * Show a choice among what is served, and among what has been seen in traffic.
   * @param {Choice} choice
   * @param {ServedModel[]} served
   * @param {History|null} history
   */
  show(choice, served, history) {
    for (const input of byId("spans").querySelectorAll("input")) {
      input.checked = Number(input.value) === choice.span.seconds;
    }
    const known = [...served.flatMap(versionsOf), ...(history?.versions ?? [])];
    const ofTask = known.filter(({ task }) => !choice.task || task === choice.task);
    const ofModel = known.filter(({ model }) => model === choice.model);
    const tasks = [...known.map(({ task }) => task), ...Object.keys(history?.window.tasks ?? {})];
    offer("task", "All tasks", choice.task, tasks);
    offer("model", "All models", choice.model, ofTask.map(({ model }) => model));
    offer("version", "All versions", choice.version, ofModel.map(({ version }) => version));
    byId("version").disabled = !choice.model;
  }

  /** @param {import("./choice.js").Span} span */
  #makeSpan(span) {
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "span", value: String(span.seconds) });
    input.addEventListener("change", () => this.#choose({ span }));
    return make("label", "", input, make("span", "", span.title));
  }
}

/** @param {ServedModel} model */
function versionsOf({ name, task, versions }) {
  return versions.map(({ version }) => ({ task: task ?? "", model: name, version }));
}

/**
 * @param {string} id
 * @param {(value: string) => void} chosen
 */
function listen(id, chosen) {
  byId(id).addEventListener("change", (/** @type {any} */ event) => chosen(event.target.value));
}

/**
 * Fill a list, if it is another one: an open list is not taken from under the pointer.
 * @param {string} id
 * @param {string} any What no choice is called.
 * @param {string} chosen
 * @param {string[]} names
 */
function offer(id, any, chosen, names) {
  const select = byId(id);
  const all = [...new Set([...names, chosen])].filter(Boolean).sort();
  const key = JSON.stringify(all);
  if (offered.get(id) !== key) {
    offered.set(id, key);
    const options = all.sort(ORDER.compare).map((name) => new Option(shownName(name, "nameless"), name));
    select.replaceChildren(new Option(any, ""), ...options);
  }
  if (select.value !== chosen) select.value = chosen;
}
