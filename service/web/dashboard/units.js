/** Figures as they are read: about three digits, and a unit that fits. */

/** Stands where there is no figure. */
export const NONE = "–";

/** By the number of digits after the point. */
const PRECISIONS = [0, 1, 2].map((places) => new Intl.NumberFormat("en-GB", { maximumFractionDigits: places }));
const [WHOLE, TENTHS] = PRECISIONS;
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const MINUTES = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** @typedef {(value: number|null|undefined) => string} Unit A figure in words. */

/** The same, where figures stand in a column: always as many digits. */
const COLUMNS = [0, 1, 2].map((places) => new Intl.NumberFormat("en-GB", {
  minimumFractionDigits: places, maximumFractionDigits: places,
}));

/** @param {number} value */
function digits(value, formats = PRECISIONS) {
  return formats[value < 10 ? 2 : value < 100 ? 1 : 0].format(value);
}

/** @type {Unit} A number of things. */
export const count = (value) => (value == null ? NONE : WHOLE.format(value));

/** @type {Unit} A number that may have a fraction. */
export const number = (value) => (value == null ? NONE : digits(value));

/** @type {Unit} */
export const perSecond = (value) => (value == null ? NONE : `${digits(value)} /s`);

/** @type {Unit} From milliseconds. */
export const duration = (value) => inTime(value, COLUMNS);

/** @type {Unit} From milliseconds, round ones. */
export const durationMark = (value) => inTime(value, PRECISIONS);

/**
 * @param {number|null|undefined} value In milliseconds.
 * @param {Intl.NumberFormat[]} formats
 */
function inTime(value, formats) {
  if (value == null) return NONE;
  if (value >= 1000) return `${digits(value / 1000, formats)} s`;
  if (value === 0) return "0 ms";
  return value < 0.1 ? `${WHOLE.format(value * 1000)} µs` : `${digits(value, formats)} ms`;
}

/** @type {Unit} From 0…1. */
export const share = (value) => {
  if (value == null) return NONE;
  if (value > 0 && value < 0.001) return "< 0.1 %";
  if (value < 1 && value > 0.999) return "> 99.9 %";
  return `${TENTHS.format(value * 100)} %`;
};

/** @type {Unit} From 0…1, where there is little room. */
export const roughly = (value) => {
  if (value == null) return NONE;
  return value > 0 && value < 0.01 ? "< 1 %" : `${WHOLE.format(value * 100)} %`;
};

/** @type {Unit} From bytes. */
export const bytes = (value) => {
  if (value == null) return NONE;
  return value >= 2 ** 30 ? `${digits(value / 2 ** 30)} GiB` : `${digits(value / 2 ** 20)} MiB`;
};

/** @type {Unit} Processor cores that were busy. */
export const cores = (value) => {
  if (value == null) return NONE;
  return `${digits(value)} ${value === 1 ? "core" : "cores"}`;
};

/**
 * A moment by this browser's clock, to the second.
 * @param {number} seconds Since 1970.
 */
export function clock(seconds) {
  return CLOCK.format(seconds * 1000);
}

/**
 * A moment by this browser's clock, to the minute.
 * @param {number} seconds Since 1970.
 */
export function minutes(seconds) {
  return MINUTES.format(seconds * 1000);
}
