/** The versions in traffic; one of them can be chosen, and then all charts show it alone. */

import { byId, make, named, shownName } from "../elements.js";
import { partedBar, placeAt, setShare, write } from "./fill.js";
import { count, duration, number, share } from "./units.js";

/** @typedef {import("./history.js").VersionFigures} VersionFigures */
/** @typedef {import("./choice.js").Choice} Choice */
/**
 * @typedef {{
 *   row: HTMLElement, button: HTMLElement, aliases: HTMLElement, bar: HTMLElement, cells: Record<string, HTMLElement>,
 *   state: HTMLElement
 * }} Row
 */

/** @type {[string, string, (figures: VersionFigures) => string][]} Key, heading, text. */
const COLUMNS = [
  ["requests", "Requests", ({ requests }) => count(requests)],
  ["errors", "Errors", ({ errors }) => count(errors)],
  ["p50", "p50", ({ p50_ms: p50 }) => duration(p50)],
  ["p95", "p95", ({ p95_ms: p95 }) => duration(p95)],
  ["p99", "p99", ({ p99_ms: p99 }) => duration(p99)],
  ["batch", "Batch", ({ batch }) => number(batch.mean)],
  ["queue", "Queue", ({ queue_depth: depth }) => count(depth)],
];

export class Versions {
  /** @type {(model: string, version: string) => void} */ #choose;
  /** @type {Map<string, Row>} */ #rows = new Map();
  /** A table stays one to those who hear it, however narrow screens lay it out: hence the roles. */
  #body = withRole("rowgroup", make("tbody", ""));
  #none = make("p", "aside", "No version has had a request in this window.");
  #table;

  /** @param {(model: string, version: string) => void} choose */
  constructor(choose) {
    this.#choose = choose;
    const titles = ["Version", "Share of the model", ...COLUMNS.map(([, title]) => title), "State"];
    const headings = titles.map((title) => withRole("columnheader", make("th", "", title)));
    const head = withRole("rowgroup", make("thead", "", withRole("row", make("tr", "", ...headings))));
    const caption = make("caption", "visually-hidden", "Versions in traffic; press one to see it alone");
    this.#table = withRole("table", make("table", "versions-table", caption, head, this.#body));
    byId("versions").append(this.#table, this.#none);
  }

  /**
   * @param {VersionFigures[]} versions
   * @param {Choice} choice
   */
  show(versions, choice) {
    this.#table.hidden = !versions.length;
    this.#none.hidden = Boolean(versions.length);
    write(byId("versions-count"), versions.length > 1 ? `${count(versions.length)} versions` : "");
    const focused = document.activeElement;
    const shown = new Set(versions.map(keyOf));
    for (const [key, { row }] of this.#rows) {
      if (shown.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    versions.forEach((figures, place) => this.#showRow(figures, place, choice));
    if (focused instanceof HTMLElement && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  /**
   * @param {VersionFigures} figures
   * @param {number} place
   * @param {Choice} choice
   */
  #showRow(figures, place, choice) {
    const key = keyOf(figures);
    const row = this.#rows.get(key) ?? this.#makeRow(figures);
    this.#rows.set(key, row);
    placeAt(this.#body, row.row, place);
    const chosen = figures.model === choice.model && figures.version === choice.version;
    row.button.setAttribute("aria-pressed", String(chosen));
    row.row.classList.toggle("chosen", chosen);
    showAliases(row.aliases, figures.aliases);
    setShare(row.bar, "--length", figures.share);
    write(row.cells.share, share(figures.share));
    for (const [name, , text] of COLUMNS) write(row.cells[name], text(figures));
    row.cells.errors.classList.toggle("warns", figures.errors > 0);
    write(row.state, figures.ready ? "ready" : "not ready");
    row.state.className = figures.ready ? "badge good" : "badge warning";
  }

  /**
   * @param {VersionFigures} figures
   * @returns {Row}
   */
  #makeRow({ task, model, version }) {
    const ordinal = make("span", "version-number", `version ${shownName(version, "?")}`);
    const button = make("button", "version-button", named("model-name", shownName(model, "nameless")), ordinal);
    button.setAttribute("type", "button");
    const aliases = make("span", "badges", "");
    const length = partedBar("share-bar", "part");
    const text = make("span", "figure", "");
    /** @type {Record<string, HTMLElement>} */
    const cells = { share: text };
    const figures = COLUMNS.map(([name, title]) => {
      cells[name] = make("span", "figure", "");
      return cell(title, cells[name]);
    });
    const state = make("span", "badge", "");
    const line = make("span", "of", make("span", "", task), aliases);
    const name = withRole("rowheader", make("th", "version-cell", button, line));
    const parts = [name, cell("Share of the model", length, text), ...figures, cell("State", state)];
    const row = withRole("row", make("tr", "", ...parts));
    row.addEventListener("click", () => this.#choose(model, version));
    return { row, button, aliases, bar: length, cells, state };
  }
}

/** @param {VersionFigures} figures */
function keyOf({ task, model, version }) {
  return JSON.stringify([task, model, version]);
}

/**
 * @param {HTMLElement} place
 * @param {string[]} aliases
 */
function showAliases(place, aliases) {
  if (place.dataset.names === aliases.join(" ")) return;
  place.dataset.names = aliases.join(" ");
  place.replaceChildren(...aliases.map((alias) => named("badge alias", shownName(alias, "nameless"))));
}

/**
 * A cell that says what it is where the head of its column is not shown.
 * @param {string} title
 * @param {...HTMLElement} children
 */
function cell(title, ...children) {
  const label = make("span", "cell-title", title);
  label.setAttribute("aria-hidden", "true");
  return withRole("cell", make("td", "", label, ...children));
}

/**
 * @param {string} role
 * @param {HTMLElement} element
 */
function withRole(role, element) {
  element.setAttribute("role", role);
  return element;
}
