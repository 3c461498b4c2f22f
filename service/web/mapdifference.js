/** How far two maps of one picture differ, pixel by pixel, as the service measures it. */

import { sampleMask } from "./maskpixels.js";

/** @typedef {import("./maps.js").Values} Values */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/**
 * @typedef {{width: number, height: number, values: Float32Array}} Apart How far each place differs, 0…1.
 * @typedef {{share: number, text: string, apart: Apart|null}} MapDifference ``share``: how much of the answer differs.
 */

/** Of a map so many pixels are compared: its mean does not change by looking at more. */
const PIXELS = 2 ** 18;
/** A pixel is said to differ from here on. */
const DIFFERS = 0.05;
const MOST_DECIBELS = 100;

/**
 * Compare two maps.
 * @param {string} task
 * @param {Values} first
 * @param {Values} second
 * @param {boolean} metres Whether the values are metres, or have a scale of their own each.
 * @returns {MapDifference}
 */
export function compareMaps(task, first, second, metres) {
  if (first.width !== second.width || first.height !== second.height) {
    return { share: 1, text: "The maps are of different sizes.", apart: null };
  }
  const [one, other] = [sampled(first), sampled(second)];
  const way = { depth: metres ? byRatio : byAlignment, matte: byForeground, restore: byError }[task] ?? byMean;
  const { share, values, figure } = way(one.values, other.values, one.channels);
  const apart = { width: one.width, height: one.height, values };
  return { share, text: `${differing(values)}; ${figure}.`, apart };
}

/**
 * Compare what each pixel is called; by classes, for these have no scores.
 * @param {NamedFinding[]} first
 * @param {NamedFinding[]} second
 * @param {{width: number, height: number}} image
 * @param {(finding: NamedFinding) => unknown} labelOf
 * @returns {Apart}
 */
export function compareLabels(first, second, image, labelOf) {
  const step = stepOf(image.width, image.height);
  const [width, height] = [Math.ceil(image.width / step), Math.ceil(image.height / step)];
  /** @type {Map<unknown, number>} */
  const numbers = new Map();
  const paint = (/** @type {NamedFinding[]} */ findings) => {
    const labels = new Int32Array(width * height);
    for (const finding of findings) {
      const number = numbers.get(labelOf(finding)) ?? numbers.size + 1;
      numbers.set(labelOf(finding), number);
      const whole = { x1: 0, y1: 0, x2: image.width, y2: image.height };
      const sample = finding.mask && sampleMask(finding.mask, whole, width, height);
      sample?.forEach((inside, i) => inside && (labels[i] = number));
    }
    return labels;
  };
  const [one, other] = [paint(first), paint(second)];
  return { width, height, values: Float32Array.from(one, (label, i) => Number(label !== other[i])) };
}

/**
 * How many places differ, in words.
 * @param {Float32Array} values
 */
export function differing(values) {
  const share = values.reduce((sum, value) => sum + Number(value > DIFFERS), 0) / (values.length || 1);
  return `${percentage(share)} of the pixels differ`;
}

/** @param {number} share */
export function percentage(share) {
  const value = share * 100;
  return `${value.toFixed(value > 0 && value < 9.95 ? 1 : 0)} %`;
}

/**
 * Rows and columns of which some are left out.
 * @param {number} width
 * @param {number} height
 */
function stepOf(width, height) {
  return Math.ceil(Math.sqrt((width * height) / PIXELS));
}

/**
 * @param {Values} map
 * @returns {Values}
 */
function sampled(map) {
  const step = stepOf(map.width, map.height);
  if (step === 1) return map;
  const [width, height] = [Math.ceil(map.width / step), Math.ceil(map.height / step)];
  const values = new Float32Array(width * height * map.channels);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * step * map.width + x * step) * map.channels;
      for (let c = 0; c < map.channels; c++) values[at++] = map.values[from + c];
    }
  }
  return { ...map, width, height, values };
}

/** @typedef {Float32Array|Uint8Array} Numbers */
/** @typedef {{share: number, values: Float32Array, figure: string}} Compared */

/**
 * Metres: 1 less the smaller of both depths divided by the larger.
 * @param {Numbers} first
 * @param {Numbers} second
 * @returns {Compared}
 */
function byRatio(first, second) {
  const values = new Float32Array(first.length);
  let near = 0;
  for (let i = 0; i < first.length; i++) {
    const [low, high] = [Math.max(0, Math.min(first[i], second[i])), Math.max(0, first[i], second[i])];
    const ratio = high > 0 ? low / high : 1;
    values[i] = 1 - ratio;
    near += Number(ratio > 1 / 1.25);
  }
  return { share: mean(values), values, figure: `${percentage(near / first.length)} lie within a factor of 1.25` };
}

/**
 * Depth without a unit: both less their median, divided by the mean distance from it.
 * @param {Numbers} first
 * @param {Numbers} second
 * @returns {Compared}
 */
function byAlignment(first, second) {
  const [one, other] = [aligned(first), aligned(second)];
  const values = one.map((value, i) => Math.min(1, Math.abs(value - other[i]) / 2));
  const difference = one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / (one.length || 1);
  return { share: Math.min(1, difference / 2), values, figure: "compared up to scale and shift, which neither model knows" };
}

/** @param {Numbers} depth */
function aligned(depth) {
  const sorted = Float32Array.from(depth).sort();
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  const centred = Float64Array.from(depth, (value) => value - median);
  const scale = centred.reduce((sum, value) => sum + Math.abs(value), 0) / (centred.length || 1);
  const largest = Math.max(Math.abs(sorted[0]), Math.abs(sorted[sorted.length - 1]));
  return Float32Array.from(centred, (value) => (scale > 1e-6 * largest ? value / scale : 0));
}

/**
 * Mattes: 1 less the soft IoU of both foregrounds, so that a small one counts.
 * @param {Numbers} first
 * @param {Numbers} second
 * @returns {Compared}
 */
function byForeground(first, second) {
  const values = distances(first, second, 1);
  let either = 0;
  for (let i = 0; i < first.length; i++) either += Math.max(first[i], second[i]);
  const apart = mean(values) * first.length;
  return { share: either > 0 ? Math.min(1, apart / either) : 0, values, figure: `by ${mean(values).toFixed(3)} on average` };
}

/**
 * Pictures: the root of the mean squared error.
 * @param {Numbers} first
 * @param {Numbers} second
 * @param {number} channels
 * @returns {Compared}
 */
function byError(first, second, channels) {
  let squares = 0;
  const values = new Float32Array(first.length / channels);
  for (let i = 0; i < first.length; i++) {
    const apart = Math.abs(first[i] - second[i]) / 255;
    squares += apart * apart;
    values[Math.floor(i / channels)] += apart / channels;
  }
  const share = Math.sqrt(squares / first.length);
  const decibels = share ? Math.min(MOST_DECIBELS, -20 * Math.log10(share)) : MOST_DECIBELS;
  return { share, values, figure: `PSNR ${decibels.toFixed(1)} dB` };
}

/**
 * Anything in 0…1: the mean distance.
 * @param {Numbers} first
 * @param {Numbers} second
 * @returns {Compared}
 */
function byMean(first, second) {
  const values = distances(first, second, 1);
  return { share: mean(values), values, figure: `by ${mean(values).toFixed(3)} on average` };
}

/**
 * @param {Numbers} first
 * @param {Numbers} second
 * @param {number} span
 */
function distances(first, second, span) {
  const values = new Float32Array(first.length);
  for (let i = 0; i < first.length; i++) values[i] = Math.abs(first[i] - second[i]) / span;
  return values;
}

/** @param {Float32Array} values */
function mean(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / (values.length || 1);
}
