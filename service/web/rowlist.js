/** A list of any length of which only the rows in sight are made, walked through with the arrow keys. */

import { make } from "./elements.js";

/** Pixels of a row; the style sheet is told. */
const ROW = 48;
/** Rows that are made beyond those in sight. */
const BEYOND = 6;
/** Rows that are made before anybody has measured what is in sight. */
const AT_FIRST = 12;

/**
 * @typedef {{
 *   count: number, label: string, row: (place: number) => (Node|string)[],
 *   choose: ((place: number|null) => void)|null
 * }} Rows How many, what they are, what stands in each, and who is told which one a reader looks at; null where a row
 *     has nothing to point out.
 */

export class RowList {
  /** @type {Rows} */ #rows;
  /** @type {Map<number, HTMLElement>} By place, those that are there. */ #made = new Map();
  /** The one that the tab key reaches. */
  #active = 0;
  /** @type {number|null} */ #lifted = null;
  #list = make("ol", "rows");
  /** What scrolls. */
  element = make("div", "findings", this.#list);

  /** @param {Rows} rows */
  constructor(rows) {
    this.#rows = rows;
    // Safari's screen reader takes a list without markers for none.
    this.#list.setAttribute("role", "list");
    this.#list.setAttribute("aria-label", rows.label);
    this.#list.style.setProperty("--row", `${ROW}px`);
    this.#list.style.setProperty("--rows", String(rows.count));
    this.element.addEventListener("scroll", () => this.#fill(), { passive: true });
    if (rows.choose) this.element.addEventListener("keydown", (event) => this.#walk(event));
    else this.element.tabIndex = 0;
    this.#fill();
  }

  /**
   * Mark a row, as its like in the picture is.
   * @param {number|null} place
   */
  lift(place) {
    if (place === this.#lifted) return;
    if (place !== null && !this.element.contains(document.activeElement)) this.#reveal(place);
    this.#mark(place);
  }

  /** @param {number|null} place */
  #mark(place) {
    this.#made.get(this.#lifted ?? -1)?.classList.remove("lifted");
    this.#lifted = place;
    this.#made.get(place ?? -1)?.classList.add("lifted");
  }

  /** Make the rows in sight, and let the others go; the active one stays, or the focus would be lost. */
  #fill() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - BEYOND);
    const seen = clientHeight ? Math.ceil(clientHeight / ROW) : AT_FIRST;
    const last = Math.min(this.#rows.count, first + seen + 2 * BEYOND);
    for (const [place, element] of this.#made) {
      if ((place < first || place >= last) && place !== this.#active) {
        element.remove();
        this.#made.delete(place);
      }
    }
    for (let place = first; place < last; place++) this.#make(place);
    this.#make(this.#active);
  }

  /** @param {number} place */
  #make(place) {
    if (this.#made.has(place)) return;
    const item = make("li", place === this.#lifted ? "lifted" : "", this.#content(place));
    item.style.setProperty("--place", String(place));
    item.setAttribute("aria-setsize", String(this.#rows.count));
    item.setAttribute("aria-posinset", String(place + 1));
    // In the order of their places, for those who hear them.
    const after = [...this.#made].filter(([other]) => other > place).sort(([a], [b]) => a - b)[0];
    this.#list.insertBefore(item, after?.[1] ?? null);
    this.#made.set(place, item);
  }

  /** @param {number} place */
  #content(place) {
    const { choose, row } = this.#rows;
    if (!choose) return make("div", "finding", ...row(place));
    const button = make("button", "finding", ...row(place));
    button.setAttribute("type", "button");
    button.tabIndex = place === this.#active ? 0 : -1;
    const tell = (/** @type {number|null} */ chosen) => {
      // A row that somebody points at must not be scrolled away from under the pointer.
      this.#mark(chosen);
      choose(chosen);
    };
    for (const event of ["pointerenter", "focus", "click"]) button.addEventListener(event, () => tell(place));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => tell(null));
    button.addEventListener("focus", () => this.#activate(place));
    return button;
  }

  /** @param {KeyboardEvent} event */
  #walk(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const place = Math.max(0, Math.min(this.#rows.count - 1, this.#active + step));
    this.#reveal(place);
    this.#button(place)?.focus({ preventScroll: true });
  }

  /** @param {number} place */
  #activate(place) {
    const before = this.#button(this.#active);
    if (before) before.tabIndex = -1;
    this.#active = place;
    const now = this.#button(place);
    if (now) now.tabIndex = 0;
  }

  /** @param {number} place */
  #button(place) {
    return this.#made.get(place)?.querySelector("button");
  }

  /**
   * Scroll no further than is needed for a row to be seen.
   * @param {number} place
   */
  #reveal(place) {
    const { scrollTop, clientHeight } = this.element;
    if (place * ROW < scrollTop) this.element.scrollTop = place * ROW;
    else if ((place + 1) * ROW > scrollTop + clientHeight) this.element.scrollTop = (place + 1) * ROW - clientHeight;
    this.#fill();
    this.#make(place);
  }
}
