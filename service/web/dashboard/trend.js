/** A small line without axes, which shows where a figure comes from; what it shows stands beside it in words. */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { make } from "../elements.js";
import { colour, onScheme } from "./palette.js";

/** @typedef {import("./history.js").Row} Row */

const HEADROOM = 1.1;

export class Trend {
  /** @type {string} */ #colour;
  /** @type {uPlot|null} */ #plot = null;
  /** @type {[number[], Row]} */ #data = [[], []];
  element = make("span", "trend");

  /** @param {string} property The custom property with its colour. */
  constructor(property) {
    this.#colour = property;
    this.element.setAttribute("aria-hidden", "true");
    new ResizeObserver(() => requestAnimationFrame(() => this.#fit())).observe(this.element);
    onScheme(() => this.#plot?.redraw());
  }

  /**
   * @param {number[]} times
   * @param {Row} row
   */
  show(times, row) {
    // Nothing at all is not worth a line.
    this.#data = [times, row.some(Boolean) ? row : row.map(() => null)];
    this.#fit();
    this.#plot?.setData(this.#data);
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    if (!this.#plot) this.#plot = new uPlot(this.#options(width, height), this.#data, this.element);
    else if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height });
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns {uPlot.Options}
   */
  #options(width, height) {
    return {
      width,
      height,
      padding: [2, 0, 0, 0],
      legend: { show: false },
      cursor: { show: false },
      axes: [{ show: false }, { show: false }],
      scales: { x: { time: false }, y: { range: (_, __, top) => [0, (top ?? 0) * HEADROOM || 1] } },
      series: [{}, {
        width: 1.5,
        stroke: () => colour(this.#colour),
        fill: () => `${colour(this.#colour)}1f`,
        points: { show: () => false },
      }],
    };
  }
}
