/** A chart over time: painted by uPlot, with a key of figures under it, and the same in words. */

import uPlot from "../vendor/uplot/uPlot.esm.js";
import { make } from "../elements.js";
import { write } from "./fill.js";
import { colour, onScheme } from "./palette.js";
import { clock, minutes, NONE } from "./units.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").Row} Row */
/** @typedef {import("./units.js").Unit} Unit */
/**
 * @typedef {{
 *   label: string, colour: string, of: (history: History) => Row, seldom?: boolean
 * }} Line ``colour`` names a custom property; ``seldom``: it is mostly zero, and then nothing is painted.
 * @typedef {{
 *   title: string, unit: Unit, lines: Line[], stacked?: boolean, filled?: boolean, least?: number, steps?: number[],
 *   marks?: Unit
 * }} Plan ``stacked``: panes upon one another, the first line lowest; ``filled``: the first line has its area washed
 *     in; ``least``: the axis reaches at least this far; ``steps``: what may lie between two of its marks; ``marks``:
 *     how they are written, if otherwise.
 */

/** Charts of one page show the same moment under the pointer. */
const SYNC = "dashboard";
const HEADROOM = 1.06;
/** In pixels. */
const THINNEST_LED = 6;
const FONT = '12px "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
/** Seconds between two marks of the time's axis. */
const TIME_STEPS = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

export class Chart {
  /** @type {Plan} */ #plan;
  /** @type {HTMLElement} */ #holder = make("div", "chart");
  /** @type {HTMLElement[]} The figures of the key, one a line. */ #figures = [];
  #moment = make("li", "moment", "");
  /** @type {Row[]} The figures as they came, one row a line. */ #rows = [];
  /** @type {number[]} */ #times = [];
  #begin = 0;
  /** @type {uPlot|null} */ #plot = null;

  /**
   * @param {HTMLElement} place
   * @param {Plan} plan
   */
  constructor(place, plan) {
    this.#plan = plan;
    this.#holder.setAttribute("role", "img");
    this.#holder.setAttribute("aria-label", `${plan.title}: no figures yet`);
    place.append(this.#holder, this.#makeKey());
    new ResizeObserver(() => requestAnimationFrame(() => this.#fit())).observe(this.#holder);
    onScheme(() => this.#plot?.redraw());
  }

  /** @param {History} history */
  show(history) {
    this.#times = history.times;
    this.#begin = (history.times[0] ?? history.now) - history.step_s;
    this.#rows = this.#plan.lines.map((line) => line.of(history));
    this.#fit();
    this.#leadPanes();
    this.#plot?.setData(this.#data());
    this.#writeKey();
    this.#holder.setAttribute("aria-label", this.#words());
  }

  /** Make the chart as large as its place; there is none while the place is hidden. */
  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#holder;
    if (!width || !height || !this.#times.length) return;
    if (!this.#plot) this.#plot = new uPlot(this.#options(width, height), this.#data(), this.#holder);
    else if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height });
  }

  /** Set the panes in lead where they are wide enough to be seen beside it. */
  #leadPanes() {
    if (!this.#plan.stacked || !this.#plot) return;
    const lead = this.#plot.width / this.#times.length < THINNEST_LED ? 0 : 1;
    for (const series of this.#plot.series.slice(1)) series.width = lead;
  }

  /**
   * uPlot's columns: times, then the lines; each pane reaches to the ground, and those below are painted over it.
   * @returns {uPlot.AlignedData}
   */
  #data() {
    if (!this.#plan.stacked) {
      return [this.#times, ...this.#rows.map((row, i) => (this.#plan.lines[i].seldom ? withoutGround(row) : row))];
    }
    const heights = this.#times.map(() => /** @type {number|null} */ (null));
    const tops = this.#rows.map((row) => row.map((value, i) => {
      if (value != null) heights[i] = (heights[i] ?? 0) + value;
      return heights[i];
    }));
    return [this.#times, ...tops.reverse()];
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns {uPlot.Options}
   */
  #options(width, height) {
    const plan = this.#plan;
    const lines = plan.stacked ? [...plan.lines].reverse() : plan.lines;
    return {
      width,
      height,
      legend: { show: false },
      cursor: {
        y: false,
        drag: { x: false, y: false },
        sync: { key: SYNC, setSeries: false },
        points: plan.stacked ? { show: false } : { size: 7 },
      },
      scales: {
        x: { time: true, range: () => [this.#begin, this.#times.at(-1) ?? this.#begin + 1] },
        y: { range: (_, __, top) => [0, Math.max((top ?? 0) * HEADROOM, plan.least ?? 0) || 1] },
      },
      axes: [
        { ...axis(timeMarks), size: 30, space: 84, incrs: TIME_STEPS },
        {
          ...axis((marks) => marks.map(plan.marks ?? plan.unit)),
          size: 62,
          space: 34,
          ...(plan.steps && { incrs: plan.steps }),
        },
      ],
      series: [{}, ...lines.map((line, i) => (plan.stacked ? pane(line) : stroke(line, plan.filled === true && !i)))],
      hooks: { setCursor: [() => this.#writeKey()] },
    };
  }

  #makeKey() {
    const items = this.#plan.lines.map((line) => {
      const swatch = make("span", "swatch");
      swatch.style.setProperty("--colour", `var(${line.colour})`);
      const figure = make("span", "figure", NONE);
      this.#figures.push(figure);
      return make("li", "", swatch, make("span", "", line.label), figure);
    });
    return make("ul", "key", ...items, this.#moment);
  }

  /** The figures under the pointer, or the latest. */
  #writeKey() {
    const under = this.#plot?.cursor.idx;
    this.#figures.forEach((figure, i) => {
      const row = this.#rows[i];
      write(figure, this.#plan.unit(under == null ? latest(row) : row?.[under]));
    });
    this.#moment.hidden = under == null;
    write(this.#moment, under == null ? "" : `until ${clock(this.#times[under] ?? 0)}`);
  }

  /** What someone hears who does not see it. */
  #words() {
    const figures = this.#plan.lines.map((line, i) => {
      const row = this.#rows[i];
      return `${line.label} ${this.#plan.unit(latest(row))}, at most ${this.#plan.unit(highest(row))}`;
    });
    return `${this.#plan.title}, latest figures: ${figures.join("; ")}`;
  }
}

/**
 * The last figure that there is.
 * @param {Row|undefined} row
 */
function latest(row) {
  return row?.findLast((value) => value != null) ?? null;
}

/**
 * A row without the zeros that have only zeros beside them.
 * @param {Row} row
 */
function withoutGround(row) {
  return row.map((value, i) => (value || row[i - 1] || row[i + 1] ? value : null));
}

/**
 * The highest figure that there is.
 * @param {Row} row
 */
function highest(row) {
  const figures = row.filter((value) => value != null);
  return figures.length ? Math.max(...figures) : null;
}

/**
 * @param {(marks: number[]) => string[]} inWords
 * @returns {uPlot.Axis}
 */
function axis(inWords) {
  return {
    values: (_, marks) => inWords(marks),
    font: FONT,
    stroke: () => colour("--soft"),
    grid: { stroke: () => colour("--rule"), width: 1 },
    ticks: { show: false },
    gap: 8,
  };
}

/** @param {number[]} marks In seconds since 1970. */
function timeMarks(marks) {
  return marks.map(marks[1] - marks[0] < 60 ? clock : minutes);
}

/**
 * Panes from the ground to a line, as wide as a point is long, with lead between them.
 * @param {Line} line
 * @returns {uPlot.Series}
 */
function pane(line) {
  return {
    paths: uPlot.paths.bars?.({ size: [1], align: -1 }),
    width: 1,
    stroke: () => colour("--sheet"),
    fill: () => colour(line.colour),
    points: { show: false },
  };
}

/**
 * @param {Line} line
 * @param {boolean} filled
 * @returns {uPlot.Series}
 */
function stroke(line, filled) {
  return {
    width: 2,
    stroke: () => colour(line.colour),
    ...(filled ? { fill: () => `${colour(line.colour)}24` } : {}),
    points: { show: () => false, size: 5, width: 0, fill: () => colour(line.colour), filter: lonely },
  };
}

/**
 * The points that no line reaches, because there is no figure before and after them.
 * @param {uPlot} plot
 * @param {number} series
 */
function lonely(plot, series) {
  const row = plot.data[series];
  const first = plot.series[0].idxs?.[0] ?? 0;
  const last = plot.series[0].idxs?.[1] ?? row.length - 1;
  const places = [];
  for (let i = first; i <= last; i++) {
    if (row[i] != null && row[i - 1] == null && row[i + 1] == null) places.push(i);
  }
  return places.length ? places : null;
}
