/** The figures of the window, each with a small trend. */

import { byId, make } from "../elements.js";
import { write } from "./fill.js";
import { Trend } from "./trend.js";
import { count, duration, NONE, number, perSecond, share } from "./units.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").Row} Row */
/**
 * @typedef {{
 *   label: string, colour: string, value: (history: History) => string, detail: (history: History) => string,
 *   trend: (history: History) => Row, warns?: (history: History) => boolean
 * }} Figure
 */

/** @type {Figure[]} */
const FIGURES = [
  {
    label: "Requests",
    colour: "--accent",
    value: (history) => perSecond(perSecondOf(history, history.window.requests)),
    detail: ({ window }) => `${count(window.requests)} in all`,
    trend: ({ requests }) => requests.rate,
  },
  {
    label: "Errors",
    colour: "--ruby",
    value: ({ window }) => (window.requests ? share(window.errors / window.requests) : NONE),
    detail: ({ window }) => `${count(window.errors)} failed, ${count(window.refused)} refused`,
    trend: ({ requests }) => requests.errors,
    warns: ({ window }) => window.errors > 0,
  },
  percentile("p50", "half are quicker"),
  percentile("p95", "19 of 20 are quicker"),
  percentile("p99", "99 of 100 are quicker"),
  {
    label: "Images",
    colour: "--stage-decode",
    value: (history) => perSecond(perSecondOf(history, history.window.images)),
    detail: ({ window }) => `${count(window.images)} in all`,
    trend: ({ requests }) => requests.images,
  },
  {
    label: "In flight",
    colour: "--amber",
    value: ({ gauges }) => number(gauges.in_flight.findLast((value) => value != null)),
    detail: ({ gauges }) => `of ${count(gauges.in_flight_limit)} permits`,
    trend: ({ gauges }) => gauges.in_flight,
  },
];

/**
 * Make the place of the figures, and give what fills it.
 * @returns {(history: History) => void}
 */
export function makeFigures() {
  const tiles = FIGURES.map((figure) => {
    const value = make("strong", "", NONE);
    const detail = make("span", "detail", "");
    const trend = new Trend(figure.colour);
    const tile = make("div", "tile", make("dt", "", figure.label), make("dd", "", value, detail, trend.element));
    return { figure, value, detail, trend, tile };
  });
  byId("figures").replaceChildren(...tiles.map(({ tile }) => tile));
  return (history) => {
    for (const { figure, value, detail, trend, tile } of tiles) {
      write(value, figure.value(history));
      write(detail, figure.detail(history));
      trend.show(history.times, figure.trend(history));
      tile.classList.toggle("warns", figure.warns?.(history) ?? false);
    }
  };
}

/**
 * @param {"p50"|"p95"|"p99"} rank
 * @param {string} meaning
 * @returns {Figure}
 */
function percentile(rank, meaning) {
  return {
    label: `Latency ${rank}`,
    colour: `--${rank}`,
    value: ({ window }) => duration(window.total_ms?.[rank]),
    detail: () => meaning,
    trend: ({ latency }) => latency[`${rank}_ms`],
  };
}

/**
 * How many a second there were, over the part of the window in which the service has run.
 * @param {History} history
 * @param {number} all
 */
function perSecondOf({ window_s: window, step_s: step, gauges }, all) {
  const lived = gauges.memory_bytes.filter((value) => value != null).length * step;
  return all / (Math.min(lived, window) || window);
}
