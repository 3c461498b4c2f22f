/** Accuracy against latency, as an SVG: what was measured of the versions, and nothing that was not. */

import { byId, make, milliseconds, shape } from "./elements.js";

/** @typedef {import("./api.js").Card} Card */
/**
 * @typedef {{
 *   task: string, name: string, version: string, precision: string|null, model: import("./api.js").Model, card: Card
 * }} Entry A version and its card.
 * @typedef {{entry: Entry, x: number, y: number}} Point Milliseconds, and a figure of merit.
 */

/** Of the drawing in pixels, at least and at most; between them, that of its place on the page. */
const WIDTHS = [300, 1080];
const HEIGHT = 320;
const LEFT = 56;
const RIGHT = 20;
const TOP = 18;
const BOTTOM = 44;
/** A name is written beside a point, if there are no more points than that. */
const NAMED = 16;

/**
 * Milliseconds that the quickest way took for one image of one caller; null where nobody measured it.
 * @param {Card} card
 */
export function latencyOf({ tuning }) {
  const alone = (tuning?.measurements ?? []).filter((one) => one.batch_size === 1 && one.callers === 1);
  return alone.length ? Math.min(...alone.map((one) => one.latency_p50_ms)) : null;
}

/**
 * Show the plot of the figure that is chosen.
 * @param {Entry[]} entries
 */
export function showPlot(entries) {
  const measured = measuredBy(entries);
  const chosen = offer([...measured.keys()]);
  const points = measured.get(chosen) ?? [];
  byId("plot-controls").hidden = !points.length;
  if (points.length) return byId("plot").replaceChildren(drawing(points, chosen), alternative(points, chosen));
  byId("plot").replaceChildren(
    make(
      "p", "aside", "No version that is served has both an accuracy and a latency in its card. ",
      make("code", "", "vitrail-build evaluate NAME --data FOLDER"), " measures the one, ",
      make("code", "", "vitrail-build tune NAME"), " the other.",
    ),
  );
}

/**
 * The points of each figure of merit.
 * @param {Entry[]} entries
 * @returns {Map<string, Point[]>}
 */
function measuredBy(entries) {
  /** @type {Map<string, Point[]>} */
  const measured = new Map();
  for (const entry of entries) {
    const x = latencyOf(entry.card);
    if (x === null) continue;
    for (const { metric, dataset, value } of entry.card.evaluation ?? []) {
      const key = `${metric} on ${dataset}`;
      measured.set(key, [...(measured.get(key) ?? []), { entry, x, y: value }]);
    }
  }
  return measured;
}

/** @param {string[]} figures */
function offer(figures) {
  const select = byId("plot-metric");
  const before = select.value;
  select.replaceChildren(...figures.map((figure) => new Option(figure, figure)));
  select.value = figures.includes(before) ? before : (figures[0] ?? "");
  return select.value;
}

/**
 * @param {Point[]} points
 * @param {string} figure
 */
function drawing(points, figure) {
  const width = Math.max(WIDTHS[0], Math.min(WIDTHS[1], byId("plot").clientWidth));
  const x = scale(points.map((point) => point.x), LEFT, width - RIGHT, true);
  const y = scale(points.map((point) => point.y), HEIGHT - BOTTOM, TOP, false);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, class: "plot", "aria-hidden": "true", focusable: "false" });
  for (const tick of x.ticks) {
    svg.append(
      shape("line", { x1: x.at(tick), x2: x.at(tick), y1: TOP, y2: HEIGHT - BOTTOM, class: "grid" }),
      shape("text", { x: x.at(tick), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, tick.toLocaleString("en")),
    );
  }
  for (const tick of y.ticks) {
    svg.append(
      shape("line", { x1: LEFT, x2: width - RIGHT, y1: y.at(tick), y2: y.at(tick), class: "grid" }),
      shape("text", { x: LEFT - 8, y: y.at(tick) + 4, "text-anchor": "end" }, tick.toLocaleString("en", { maximumFractionDigits: 3 })),
    );
  }
  const best = frontier(points).map((point) => `${x.at(point.x)},${y.at(point.y)}`).join(" ");
  svg.append(
    shape("polyline", { points: best, class: "frontier" }),
    ...points.map((point) => mark(point, x.at(point.x), y.at(point.y), points.length <= NAMED && (x.at(point.x) > 0.6 * width ? "left" : "right"))),
    shape("text", { x: width - RIGHT, y: HEIGHT - 8, "text-anchor": "end", class: "axis" }, "latency of one image, ms (p50)"),
    shape("text", { x: LEFT, y: 12, class: "axis" }, figure),
  );
  return svg;
}

/**
 * @param {Point} point
 * @param {number} x
 * @param {number} y
 * @param {"left"|"right"|false} side Where its name is written, if it is.
 */
function mark({ entry, ...measured }, x, y, side) {
  const name = `${entry.name}:${entry.version}`;
  // Above and to the left of a point, or below and to the right, the line of the best does not run.
  const text = shape("text", {
    x: x + (side === "left" ? -10 : 10), y: side === "left" ? y - 8 : y + 18, "text-anchor": side === "left" ? "end" : "start",
  }, name);
  return shape(
    "a", { href: `#${entry.task}/${name}`, tabindex: "-1" },
    shape("title", {}, `${name}: ${measured.y.toFixed(3)} in ${milliseconds(measured.x)}`),
    shape("circle", { cx: x, cy: y, r: 6, class: entry.model.trained ? "point" : "point untrained" }),
    ...(side ? [text] : []),
  );
}

/**
 * The same as a table, for those who do not see it and for those who want the numbers.
 * @param {Point[]} points
 * @param {string} figure
 */
function alternative(points, figure) {
  const rows = [...points].sort((a, b) => a.x - b.x).map(({ entry, x, y }) => {
    const link = make("a", "", `${entry.name}:${entry.version}`);
    link.setAttribute("href", `#${entry.task}/${entry.name}:${entry.version}`);
    return make("tr", "", make("td", "", link), make("td", "", entry.precision ?? ""), make("td", "", milliseconds(x)), make("td", "", y.toFixed(3)));
  });
  const head = ["Version", "Precision", "Latency", figure].map((text) => make("th", "", text));
  for (const cell of head) cell.setAttribute("scope", "col");
  const machines = [...new Set(points.map(({ entry }) => entry.card.tuning?.machine))].filter(Boolean).join("; ");
  return make(
    "details", "", make("summary", "", "As a table"),
    make("table", "", make("thead", "", make("tr", "", ...head)), make("tbody", "", ...rows)),
    make("p", "facts", `Measured on ${machines}.`),
  );
}

/**
 * The points that no other one beats in both.
 * @param {Point[]} points
 */
function frontier(points) {
  let best = -Infinity;
  return [...points].sort((a, b) => a.x - b.x || b.y - a.y).filter(({ y }) => y > best && ((best = y), true));
}

/**
 * A scale that holds all values, with a few round marks.
 * @param {number[]} values
 * @param {number} from Where the least stands.
 * @param {number} to
 * @param {boolean} logarithmic
 */
function scale(values, from, to, logarithmic) {
  const place = logarithmic ? Math.log10 : (/** @type {number} */ value) => value;
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const margin = logarithmic ? 0.12 : (most - least || Math.abs(most) || 1) * 0.15;
  const [low, high] = [place(least) - margin, place(most) + margin];
  const at = (/** @type {number} */ value) => from + ((place(value) - low) / (high - low)) * (to - from);
  return { at, ticks: logarithmic ? rounded(10 ** low, 10 ** high) : even(low, high) };
}

/**
 * 1, 2 and 5 times the powers of ten within bounds; of a narrow range, even steps.
 * @param {number} low
 * @param {number} high
 */
function rounded(low, high) {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const digit of [1, 2, 5]) ticks.push(Number(`${digit}e${power}`));
  }
  const within = ticks.filter((tick) => tick >= low && tick <= high);
  return within.length > 1 ? within : even(low, high);
}

/**
 * @param {number} low
 * @param {number} high
 */
function even(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => size >= rough) ?? rough;
  const first = Math.ceil(low / step);
  const count = Math.floor(high / step) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}
