/** The sizes of the batches that ran, as columns. */

import { byId, make } from "../elements.js";
import { partedBar, setShare, write } from "./fill.js";
import { count, NONE, number, roughly } from "./units.js";

/** @typedef {import("./history.js").History} History */

/** As many sizes are shown; the larger ones stand together. */
const SIZES_SHOWN = 16;

/**
 * Make the columns of the batch sizes, and give what fills them.
 * @returns {(history: History) => void}
 */
export function makeBatches() {
  const list = make("ol", "columns");
  const none = make("p", "aside", "No batch has run in this window.");
  byId("batches-columns").append(list, none);
  return ({ versions }) => {
    const sizes = sumSizes(versions.map(({ batch }) => batch.sizes));
    const batches = sizes.reduce((sum, [, times]) => sum + times, 0);
    const images = sizes.reduce((sum, [size, times]) => sum + size * times, 0);
    write(byId("batches-mean"), batches ? `${number(images / batches)} images on the mean` : "");
    list.hidden = !batches;
    none.hidden = batches > 0;
    const shown = gather(sizes);
    const most = Math.max(...shown.map(([, times]) => times), 1);
    while (list.children.length > shown.length) list.lastChild?.remove();
    shown.forEach(([title, times], i) => {
      const column = list.children[i] ?? list.appendChild(makeColumn());
      const [figure, height, name] = /** @type {HTMLElement[]} */ ([...column.children]);
      write(figure, roughly(times / batches));
      setShare(height, "--length", times / most);
      write(name, title);
      column.setAttribute("aria-label", `${title}: ${count(times)} batches, ${roughly(times / batches)}`);
    });
  };
}

function makeColumn() {
  return make("li", "", make("span", "figure", NONE), partedBar("column", "part"), make("span", "name", ""));
}

/**
 * @param {Record<string, number>[]} all
 * @returns {[number, number][]} Size and how often, the smallest first.
 */
function sumSizes(all) {
  /** @type {Map<number, number>} */
  const sum = new Map();
  for (const counts of all) {
    for (const [size, times] of Object.entries(counts)) sum.set(Number(size), (sum.get(Number(size)) ?? 0) + times);
  }
  return [...sum].sort(([a], [b]) => a - b);
}

/**
 * @param {[number, number][]} sizes
 * @returns {[string, number][]}
 */
function gather(sizes) {
  /** @type {[string, number][]} */
  const shown = sizes.slice(0, SIZES_SHOWN).map(([size, times]) => [String(size), times]);
  const rest = sizes.slice(SIZES_SHOWN);
  if (!rest.length) return shown;
  const times = rest.reduce((sum, [, one]) => sum + one, 0);
  return [...shown, [`${rest[0][0]}…${rest[rest.length - 1][0]}`, times]];
}
