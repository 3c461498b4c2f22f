/** The labels of findings, written on the picture. */

import { percent } from "./findings.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Box} Box */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{x: number, y: number, centred: boolean}} Anchor Where a label is wanted, in canvas pixels. */

const FONT = '600 13px "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
export const LABEL_HEIGHT = 22;
export const SHADE = "rgb(10 10 16 / 0.55)";

/**
 * Write a label at its anchor, or as near as the picture's edge and the labels before it allow.
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {Anchor} anchor
 * @param {Size} shown
 * @param {Box[]} taken Places of the labels before; this one's is added.
 * @param {boolean} [mayMove] Whether it may go elsewhere, where another one has its place; else it is left out there.
 */
export function drawLabel(context, finding, anchor, shown, taken, mayMove = true) {
  context.font = FONT;
  const score = percent(finding.score);
  const room = shown.width - 14 - (score ? context.measureText(`  ${score}`).width : 0);
  // In an isolate of its own, a name from right to left leaves the score where it is.
  const text = `\u2068${shorten(context, finding.name, Math.max(room, 0))}\u2069${score && `  ${score}`}`;
  const width = context.measureText(text).width + 14;
  const wanted = anchor.centred ? { x: anchor.x - width / 2, y: anchor.y - LABEL_HEIGHT / 2 } : anchor;
  const x = Math.max(0, Math.min(wanted.x, shown.width - width));
  const row = Math.max(0, Math.min(wanted.y, shown.height - LABEL_HEIGHT));
  const y = freeRow(x, row, width, shown.height, taken);
  if (!mayMove && (y !== row || taken.some((other) => covers(other, x, y, width)))) return;
  taken.push({ x1: x, y1: y, x2: x + width, y2: y + LABEL_HEIGHT });
  context.fillStyle = finding.colour.fill;
  context.strokeStyle = SHADE;
  context.lineWidth = 1;
  context.beginPath();
  context.roundRect(x, y, width, LABEL_HEIGHT, 4);
  context.fill();
  context.stroke();
  context.fillStyle = finding.colour.ink;
  context.textBaseline = "middle";
  context.fillText(text, x + 7, y + LABEL_HEIGHT / 2 + 0.5);
}

/**
 * The first height from ``y`` downwards where a label covers none before it; ``y`` itself where there is none.
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} bottom
 * @param {Box[]} taken
 */
function freeRow(x, y, width, bottom, taken) {
  for (let row = y; row + LABEL_HEIGHT <= bottom; ) {
    const other = taken.find((label) => covers(label, x, row, width));
    if (!other) return row;
    row = other.y2 + 2;
  }
  return y;
}

/**
 * Whether a label would cover another one.
 * @param {Box} other
 * @param {number} x
 * @param {number} y
 * @param {number} width
 */
function covers(other, x, y, width) {
  return x < other.x2 && other.x1 < x + width && y < other.y2 && other.y1 < y + LABEL_HEIGHT;
}

/**
 * A text that fits, with an ellipsis where it had to be cut.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function shorten(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let [fits, end] = [0, text.length];
  while (end - fits > 1) {
    const middle = (fits + end) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) fits = middle;
    else end = middle;
  }
  return `${text.slice(0, fits)}…`;
}
