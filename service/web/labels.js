/** The labels of what was found, each with how often: to be searched, and to be picked from. */

import { byId, grouped, make, named } from "./elements.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./filter.js").Filter} Filter */
/** @typedef {{label: string, name: string, colour: string, count: number}} Kind */

/** Labels that are offered at a time; a search finds the others. */
const OFFERED = 12;
/** From so many findings on, there is something to search. */
const MANY = 12;

export class Labels {
  /** @type {Filter} */ #filter;
  /** @type {() => void} */ #changed;
  /** @type {Map<string, Kind>} */ #kinds = new Map();
  #pickable = false;

  /**
   * @param {Filter} filter
   * @param {() => void} changed Told when other findings are to be shown.
   */
  constructor(filter, changed) {
    this.#filter = filter;
    this.#changed = changed;
    byId("label-search").addEventListener("input", () => {
      filter.text = byId("label-search").value.trim().toLowerCase();
      this.#show();
      changed();
    });
    byId("label-chips").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => walk(event));
  }

  /**
   * Offer the labels of an answer.
   * @param {NamedFinding[]} findings
   * @param {boolean} pickable Whether several findings may have one label.
   */
  offer(findings, pickable) {
    const kinds = kindsOf(findings);
    const gone = [...this.#filter.labels].filter((label) => !kinds.has(label));
    for (const label of gone) this.#filter.labels.delete(label);
    this.#take(kinds, pickable, findings.length);
  }

  /**
   * Offer the labels of one more frame beside those of the frames before.
   * @param {NamedFinding[]} findings
   */
  add(findings) {
    const before = this.#kinds.size;
    const kinds = new Map(this.#kinds);
    for (const [label, kind] of kindsOf(findings)) if (!kinds.has(label)) kinds.set(label, { ...kind, count: 0 });
    if (kinds.size !== before) this.#take(kinds, true, kinds.size);
  }

  /** Forget all labels, and show whatever is found. */
  clear() {
    this.#filter.labels.clear();
    this.#filter.text = "";
    byId("label-search").value = "";
    this.#kinds = new Map();
    byId("labels").hidden = true;
  }

  /**
   * @param {Map<string, Kind>} kinds
   * @param {boolean} pickable
   * @param {number} findings
   */
  #take(kinds, pickable, findings) {
    this.#kinds = kinds;
    this.#pickable = pickable && kinds.size > 1;
    const searchable = kinds.size > 1 && (findings > MANY || Boolean(this.#filter.text));
    if (!searchable && this.#filter.text) {
      this.#filter.text = "";
      byId("label-search").value = "";
    }
    byId("labels").hidden = !(this.#pickable || searchable);
    byId("label-search-field").hidden = !searchable;
    this.#show();
  }

  #show() {
    const { labels, text } = this.#filter;
    byId("label-chips").hidden = !this.#pickable;
    byId("label-more").hidden = true;
    if (!this.#pickable) return byId("label-chips").replaceChildren();
    const kinds = [...this.#kinds.values()].sort((a, b) => b.count - a.count);
    // What is picked stays in sight, whatever is searched.
    const offered = [
      ...kinds.filter(({ label }) => labels.has(label)),
      ...kinds.filter(({ label, name }) => !labels.has(label) && (!text || name.toLowerCase().includes(text))),
    ];
    const chips = offered.slice(0, OFFERED).map((kind) => this.#chip(kind));
    if (labels.size) chips.push(this.#all());
    chips.forEach((chip, i) => (chip.tabIndex = i ? -1 : 0));
    byId("label-chips").replaceChildren(...chips);
    const hidden = offered.length - OFFERED;
    byId("label-more").hidden = hidden <= 0;
    byId("label-more").textContent = `${grouped(hidden)} more labels; search for them above`;
  }

  /** @param {Kind} kind */
  #chip({ label, name, colour, count }) {
    const dot = make("span", "dot");
    dot.style.setProperty("--colour", colour);
    const chip = make("button", "chip", dot, named("name", name), ...(count ? [make("span", "number", grouped(count))] : []));
    chip.setAttribute("type", "button");
    chip.setAttribute("aria-pressed", String(this.#filter.labels.has(label)));
    chip.addEventListener("click", () => {
      if (!this.#filter.labels.delete(label)) this.#filter.labels.add(label);
      this.#repick(name);
    });
    return chip;
  }

  #all() {
    const chip = make("button", "chip all", "All labels");
    chip.setAttribute("type", "button");
    chip.addEventListener("click", () => {
      this.#filter.labels.clear();
      this.#repick("");
    });
    return chip;
  }

  /**
   * Show the labels anew, with the focus where it was.
   * @param {string} name Of the label that was picked or left.
   */
  #repick(name) {
    this.#show();
    const chips = /** @type {HTMLElement[]} */ ([...byId("label-chips").children]);
    (chips.find((chip) => chip.querySelector(".name")?.textContent === name) ?? chips[0])?.focus();
    this.#changed();
  }
}

/**
 * @param {NamedFinding[]} findings
 * @returns {Map<string, Kind>} By label, in the order of first appearance.
 */
function kindsOf(findings) {
  /** @type {Map<string, Kind>} */
  const kinds = new Map();
  for (const finding of findings) {
    if (finding.label === undefined) continue;
    const kind = kinds.get(finding.label);
    if (kind) kind.count += 1;
    else kinds.set(finding.label, { label: finding.label, name: finding.kind, colour: finding.colour.fill, count: 1 });
  }
  return kinds;
}

/**
 * From chip to chip by the arrow keys.
 * @param {KeyboardEvent} event
 */
function walk(event) {
  const chips = /** @type {HTMLElement[]} */ ([...byId("label-chips").children]);
  const here = chips.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const there = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: chips.length - 1 }[event.key];
  if (here < 0 || there === undefined || !chips[there]) return;
  event.preventDefault();
  for (const chip of chips) chip.tabIndex = -1;
  chips[there].tabIndex = 0;
  chips[there].focus();
}
