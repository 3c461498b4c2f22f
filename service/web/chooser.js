/** What is chosen: a task, a model, which of its versions, and what that is compared with. */

import { byId, shownName } from "./elements.js";
import { TASKS } from "./findings.js";
import { explainers, isReady, routesOf, showModel } from "./models.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {typeof TASKS[number]} TaskChoice */

const NO_MODEL = "The service has no model for this. It may still be loading them; vitrail-build makes one.";
const NO_EXPLAINER = "No classifier that is served can say what it goes by; vitrail-build build NAME --explain makes one.";

export class Chooser {
  /** @type {Model[]} */ #models = [];
  /** @type {Model[]} Of the task. */ #offered = [];
  /** @type {() => void} */ #changed;
  /** Counts the choices of a task, so that an answer that comes too late for one is known. */
  #turn = 0;
  /** @type {TaskChoice} */ task = TASKS[0];
  /** @type {Model|null} */ model = null;
  /** Which version: nothing, ``@alias`` or ``:version``. */
  suffix = "";
  /** What it is compared with: nothing, or name, name@alias or name:version. */
  rival = "";

  /** @param {() => void} changed Told when anything else is chosen. */
  constructor(changed) {
    this.#changed = changed;
    byId("controls").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
    byId("model").addEventListener("change", () => this.#chooseModel(byId("model").value, ""));
    byId("version").addEventListener("change", () => this.#chooseVersion(byId("version").value));
    byId("rival").addEventListener("change", () => {
      this.rival = byId("rival").value;
      this.#changed();
    });
  }

  /** What answers, as a request names it; nothing where there is no model. */
  get selector() {
    return this.model ? `${this.model.name}${this.suffix}` : "";
  }

  /** Where this choice is found again. */
  get place() {
    return `#${this.task.id}${this.model ? `/${this.selector}` : ""}`;
  }

  /**
   * Offer what is served.
   * @param {Model[]} models
   */
  offer(models) {
    this.#models = models;
    const buttons = TASKS.map((task) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "task", value: task.id, disabled: !this.#has(task.id) });
      input.addEventListener("change", () => this.choose(task, ""));
      const label = document.createElement("label");
      label.append(input, Object.assign(document.createElement("span"), { textContent: task.title }));
      return label;
    });
    byId("tasks").replaceChildren(...buttons);
  }

  /**
   * Choose by the part of an address behind its hash, as far as there is such a thing.
   * @param {string} place As in ``#detect`` or ``#detect/name:2``.
   */
  async chooseByPlace(place) {
    const [id, ...rest] = place.replace(/^#/, "").split("/");
    const wanted = TASKS.find((task) => task.id === id) ?? TASKS[0];
    const there = [wanted, ...TASKS].find((task) => this.#models.some((model) => model.task === task.id && isReady(model)));
    await this.choose(this.#has(wanted.id) ? wanted : (there ?? wanted), this.#has(wanted.id) ? rest.join("/") : "");
  }

  /**
   * @param {TaskChoice} task
   * @param {string} selector Of the model that is wanted, if one is.
   * @param {string} [absence] What to say where there is no model.
   */
  async choose(task, selector, absence = task.id === "explain" ? NO_EXPLAINER : NO_MODEL) {
    const turn = ++this.#turn;
    this.task = task;
    for (const input of document.querySelectorAll("input[name=task]")) {
      /** @type {HTMLInputElement} */ (input).checked = /** @type {HTMLInputElement} */ (input).value === task.id;
    }
    let offered = this.#models.filter((model) => model.task === task.id);
    if (task.id === "explain") {
      this.#offer([]);
      this.#chooseModel("", "", "Looking for classifiers that can say what they go by…");
      offered = await explainers(this.#models);
      if (turn !== this.#turn) return;
    }
    this.#offer(offered);
    const [, name, suffix] = /^([^@:]*)(.*)$/.exec(selector) ?? [];
    const named = offered.find((model) => model.name === name);
    const preset = offered.find((model) => model.default && isReady(model)) ?? offered.find(isReady) ?? offered[0];
    this.#chooseModel((named ?? preset)?.name ?? "", named ? suffix : "", absence);
  }

  /** @param {Model[]} models */
  #offer(models) {
    this.#offered = models;
    byId("model").replaceChildren(...(models.length ? models.map(modelOption) : [new Option("No model")]));
    byId("model").disabled = !models.length;
  }

  /**
   * @param {string} name
   * @param {string} suffix
   * @param {string} [absence]
   */
  #chooseModel(name, suffix, absence = "") {
    this.model = this.#offered.find((model) => model.name === name) ?? null;
    if (this.model) byId("model").value = name;
    const routes = this.model ? routesOf(this.model) : [];
    const options = routes.map(({ suffix: value, text, ready }) => option(text, value, !ready));
    byId("version").replaceChildren(...(options.length ? options : [new Option("—")]));
    byId("version").disabled = !options.length;
    this.#chooseVersion(routes.some((route) => route.suffix === suffix) ? suffix : "", absence);
  }

  /**
   * @param {string} suffix
   * @param {string} [absence]
   */
  #chooseVersion(suffix, absence = "") {
    this.suffix = suffix;
    byId("version").value = suffix;
    this.#offerRivals();
    showModel(this.model, suffix, absence);
    this.#changed();
  }

  /** Offer all that what is chosen can be compared with; what was chosen before stays, if it is among them. */
  #offerRivals() {
    const { model } = this;
    const own = model ? routesOf(model).filter(({ suffix }) => suffix !== this.suffix) : [];
    const versions = own.map(({ suffix, text, ready }) => option(text, `${model?.name}${suffix}`, !ready));
    const others = this.#offered.filter((other) => other !== model).map(modelOption);
    byId("rival").replaceChildren(
      new Option("Nothing", ""), ...group(`${model?.name}`, versions), ...group("Other models", others),
    );
    const options = /** @type {HTMLOptionElement[]} */ ([...byId("rival").options]);
    if (!options.some((one) => one.value === this.rival && !one.disabled)) this.rival = "";
    byId("rival").value = this.rival;
    byId("rival").disabled = options.length < 2;
  }

  /** @param {string} task */
  #has(task) {
    return this.#models.some((model) => model.task === (task === "explain" ? "classify" : task));
  }
}

/** @param {Model} model */
function modelOption(model) {
  return option(isReady(model) ? model.name : `${model.name} (not ready)`, model.name, !isReady(model));
}

/**
 * @param {string} text
 * @param {string} value
 * @param {boolean} disabled
 */
function option(text, value, disabled) {
  return Object.assign(new Option(shownName(text, "(no name)"), value), { disabled });
}

/**
 * @param {string} label
 * @param {HTMLOptionElement[]} options
 */
function group(label, options) {
  if (!options.length) return [];
  const element = Object.assign(document.createElement("optgroup"), { label });
  element.append(...options);
  return [element];
}
