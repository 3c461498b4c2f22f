/** The picture with the answer upon it, on a canvas at the screen's own resolution. */

import { percent } from "./findings.js";
import { boxAround, centroid, decodeCounts, outlinePath, sampleRuns } from "./masks.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Box} Box */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{context: CanvasRenderingContext2D, shown: Size, fit: number, density: number}} Sheet A canvas to draw on:
 *     its size in CSS pixels, how many of those a picture's pixel has, and how many of its own pixels each of those. */
/** @typedef {{x: number, y: number, centred: boolean}} Anchor Where a label is wanted, in canvas pixels. */

/** A key point is drawn from this score on. */
const SURE = 0.3;
/** The limbs between joints, by COCO's names. */
const LIMBS = [
  ["nose", "left_eye"], ["nose", "right_eye"], ["left_eye", "left_ear"], ["right_eye", "right_ear"],
  ["left_shoulder", "right_shoulder"], ["left_hip", "right_hip"],
  ...["left", "right"].flatMap((side) => [
    [`${side}_shoulder`, `${side}_elbow`], [`${side}_elbow`, `${side}_wrist`], [`${side}_shoulder`, `${side}_hip`],
    [`${side}_hip`, `${side}_knee`], [`${side}_knee`, `${side}_ankle`],
  ]),
];
const FADED = 0.22;
const TINT = 0.46;
const FONT = '600 13px "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const LABEL_HEIGHT = 22;
const SHADE = "rgb(10 10 16 / 0.55)";

/** @type {WeakMap<object, {key: string, canvas: HTMLCanvasElement, middle: {x: number, y: number}|null}>} */
const tinted = new WeakMap();

/**
 * Draw a picture and what was found in it.
 * @param {HTMLCanvasElement} canvas
 * @param {Size} room The largest size on the page, in CSS pixels.
 * @param {Size} size The picture's, in its own pixels.
 * @param {CanvasImageSource|null} picture Null where the browser cannot show it.
 * @param {NamedFinding[]} findings
 * @param {NamedFinding|null} chosen The others are faded.
 */
export function draw(canvas, room, size, picture, findings, chosen) {
  const sheet = prepare(canvas, room, size);
  drawPicture(sheet, picture);
  drawFindings(sheet, findings, chosen);
}

/**
 * Draw what was found in a picture that lies below the canvas.
 * @param {HTMLCanvasElement} canvas
 * @param {Size} room The largest size on the page, in CSS pixels.
 * @param {Size} size The picture's, in its own pixels.
 * @param {CanvasImageSource|null} cover Drawn over the picture, as large as it.
 * @param {NamedFinding[]} findings
 * @param {NamedFinding|null} chosen The others are faded.
 */
export function drawOver(canvas, room, size, cover, findings, chosen) {
  const sheet = prepare(canvas, room, size);
  if (cover) sheet.context.drawImage(cover, 0, 0, sheet.shown.width, sheet.shown.height);
  drawFindings(sheet, findings, chosen);
}

/**
 * Clear a canvas, as large as the page allows for a picture of that size.
 * @param {HTMLCanvasElement} canvas
 * @param {Size} room
 * @param {Size} size
 * @returns {Sheet}
 */
function prepare(canvas, room, size) {
  const fit = Math.min(room.width / size.width, room.height / size.height);
  const shown = { width: Math.max(1, Math.floor(size.width * fit)), height: Math.max(1, Math.floor(size.height * fit)) };
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(shown.width * density);
  canvas.height = Math.round(shown.height * density);
  canvas.style.width = `${shown.width}px`;
  canvas.style.height = `${shown.height}px`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(density, density);
  return { context, shown, fit, density };
}

/**
 * @param {Sheet} sheet
 * @param {NamedFinding[]} findings
 * @param {NamedFinding|null} chosen
 */
function drawFindings({ context, shown, fit, density }, findings, chosen) {
  const alpha = (/** @type {NamedFinding} */ finding) => (chosen && finding !== chosen ? FADED : 1);
  /** @type {Map<NamedFinding, Anchor>} */
  const anchors = new Map();
  // The best lies on top, so it is drawn last.
  for (const finding of [...findings].reverse()) {
    context.globalAlpha = alpha(finding);
    anchors.set(finding, drawShape(context, finding, fit, density));
  }
  /** @type {Box[]} */
  const taken = [];
  const first = chosen ? [chosen, ...findings.filter((finding) => finding !== chosen)] : findings;
  for (const finding of first.filter((candidate) => candidate.box && isNamed(candidate))) {
    context.globalAlpha = alpha(finding);
    const anchor = anchors.get(finding);
    if (anchor) drawLabel(context, finding, anchor, shown, taken);
  }
  context.globalAlpha = 1;
}

/**
 * Whether a finding's name says more than its place in the list.
 * @param {NamedFinding} finding
 */
function isNamed(finding) {
  return finding.label !== undefined || finding.track_id !== undefined;
}

/**
 * @param {Sheet} sheet
 * @param {CanvasImageSource|null} picture
 */
function drawPicture({ context, shown, fit }, picture) {
  // The service lays transparent pictures over white as well.
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, shown.width, shown.height);
  context.imageSmoothingEnabled = fit < 4;
  context.imageSmoothingQuality = "high";
  if (picture) context.drawImage(picture, 0, 0, shown.width, shown.height);
}

/**
 * Draw a mask, polygon or box, whichever says most.
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {number} fit
 * @param {number} density
 * @returns {Anchor} Where its label belongs.
 */
function drawShape(context, finding, fit, density) {
  if (finding.mask?.format === "rle" && finding.box) return drawRuns(context, finding, finding.box, fit, density);
  const outlines = finding.mask?.format === "polygon" ? finding.mask.points : finding.polygon && [finding.polygon];
  if (outlines) return drawOutlines(context, finding, outlines, fit);
  if (finding.keypoints && finding.box) return drawPerson(context, finding, finding.keypoints, finding.box, fit);
  if (finding.box) return drawBox(context, finding, finding.box, fit);
  return { x: 0, y: 0, centred: false };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {Box} box
 * @param {number} fit
 * @returns {Anchor}
 */
function drawBox(context, finding, box, fit) {
  const [x, y] = [box.x1 * fit, box.y1 * fit];
  const path = new Path2D();
  path.roundRect(x, y, (box.x2 - box.x1) * fit, (box.y2 - box.y1) * fit, 3);
  strokePath(context, path, finding.colour.fill);
  return { x: x - 1, y: y - LABEL_HEIGHT - 3, centred: false };
}

/**
 * The key points that are sure enough, the limbs between those that have one, and the box.
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {import("./api.js").Keypoint[]} keypoints
 * @param {Box} box
 * @param {number} fit
 * @returns {Anchor}
 */
function drawPerson(context, finding, keypoints, box, fit) {
  const sure = new Map(keypoints.filter((point) => point.score >= SURE).map((point) => [point.name, point]));
  const limbs = new Path2D();
  for (const [from, to] of LIMBS) {
    const [start, end] = [sure.get(from), sure.get(to)];
    if (!start || !end) continue;
    limbs.moveTo(start.x * fit, start.y * fit);
    limbs.lineTo(end.x * fit, end.y * fit);
  }
  strokePath(context, limbs, finding.colour.fill);
  for (const { x, y } of sure.values()) {
    const dot = new Path2D();
    dot.arc(x * fit, y * fit, 4, 0, 2 * Math.PI);
    context.fillStyle = "#ffffff";
    context.fill(dot);
    strokePath(context, dot, finding.colour.fill);
  }
  return drawBox(context, finding, box, fit);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {[number, number][][]} outlines
 * @param {number} fit
 * @returns {Anchor}
 */
function drawOutlines(context, finding, outlines, fit) {
  const path = outlinePath(outlines, fit);
  const before = context.globalAlpha;
  context.globalAlpha = before * 0.24;
  context.fillStyle = finding.colour.fill;
  context.fill(path, "evenodd");
  context.globalAlpha = before;
  strokePath(context, path, finding.colour.fill);
  const box = boxAround(outlines);
  return { x: ((box.x1 + box.x2) / 2) * fit, y: ((box.y1 + box.y2) / 2) * fit, centred: true };
}

/**
 * A coloured line with a dark and a light edge, so that it shows on any ground.
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} path
 * @param {string} colour
 */
function strokePath(context, path, colour) {
  context.lineJoin = "round";
  for (const [style, width] of /** @type {const} */ ([[SHADE, 5], ["#ffffff", 3.5], [colour, 2.5]])) {
    context.strokeStyle = style;
    context.lineWidth = width;
    context.stroke(path);
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {Box} box
 * @param {number} fit
 * @param {number} density
 * @returns {Anchor}
 */
function drawRuns(context, finding, box, fit, density) {
  const mask = /** @type {import("./api.js").RleMask} */ (finding.mask);
  const [width, height] = [(box.x2 - box.x1) * fit, (box.y2 - box.y1) * fit];
  const key = `${fit} ${density}`;
  let glass = tinted.get(mask);
  if (glass?.key !== key) {
    // No finer than the mask itself: what is enlarged, the canvas smooths.
    const pixels = {
      width: Math.max(1, Math.round(Math.min(width * density, box.x2 - box.x1))),
      height: Math.max(1, Math.round(Math.min(height * density, box.y2 - box.y1))),
    };
    const sample = sampleRuns(decodeCounts(mask.counts), mask.size[0], box, pixels.width, pixels.height);
    const middle = centroid(sample, pixels.width);
    glass = { key, canvas: tint(sample, pixels, finding.colour.rgb, rimOf(pixels.width / width)), middle };
    tinted.set(mask, glass);
  }
  context.drawImage(glass.canvas, box.x1 * fit, box.y1 * fit, width, height);
  const middle = glass.middle ?? { x: glass.canvas.width / 2, y: glass.canvas.height / 2 };
  return {
    x: box.x1 * fit + (middle.x * width) / glass.canvas.width,
    y: box.y1 * fit + (middle.y * height) / glass.canvas.height,
    centred: true,
  };
}

/**
 * Thickness of a mask's rim in its own pixels, for about 1.5 on the page.
 * @param {number} scale Pixels of the mask for each CSS pixel.
 */
function rimOf(scale) {
  return Math.max(1, Math.round(1.5 * scale));
}

/**
 * A mask as a pane of glass: tinted inside, with a solid rim that follows the edge.
 * @param {Uint8Array} sample [height, width]
 * @param {Size} size
 * @param {[number, number, number]} rgb
 * @param {number} rim Thickness in pixels.
 */
function tint(sample, size, rgb, rim) {
  const { width, height } = size;
  const pixels = new ImageData(width, height);
  const inside = (/** @type {number} */ x, /** @type {number} */ y) =>
    x >= 0 && y >= 0 && x < width && y < height && sample[y * width + x];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!sample[y * width + x]) continue;
      const deep = inside(x - rim, y) && inside(x + rim, y) && inside(x, y - rim) && inside(x, y + rim);
      const place = 4 * (y * width + x);
      pixels.data[place] = rgb[0];
      pixels.data[place + 1] = rgb[1];
      pixels.data[place + 2] = rgb[2];
      pixels.data[place + 3] = deep ? 255 * TINT : 240;
    }
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * Write a label at its anchor, or as near as the picture's edge and the labels before it allow.
 * @param {CanvasRenderingContext2D} context
 * @param {NamedFinding} finding
 * @param {Anchor} anchor
 * @param {Size} shown
 * @param {Box[]} taken Places of the labels before; this one's is added.
 */
function drawLabel(context, finding, anchor, shown, taken) {
  context.font = FONT;
  const score = percent(finding.score);
  const text = shorten(context, `${finding.name}${score && `  ${score}`}`, shown.width - 14);
  const width = context.measureText(text).width + 14;
  const wanted = anchor.centred ? { x: anchor.x - width / 2, y: anchor.y - LABEL_HEIGHT / 2 } : anchor;
  const x = Math.max(0, Math.min(wanted.x, shown.width - width));
  const y = freeRow(x, Math.max(0, Math.min(wanted.y, shown.height - LABEL_HEIGHT)), width, shown.height, taken);
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
  const covers = (/** @type {number} */ row) => (/** @type {Box} */ other) =>
    x < other.x2 && other.x1 < x + width && row < other.y2 && other.y1 < row + LABEL_HEIGHT;
  for (let row = y; row + LABEL_HEIGHT <= bottom; ) {
    const other = taken.find(covers(row));
    if (!other) return row;
    row = other.y2 + 2;
  }
  return y;
}

/**
 * A text that fits, with an ellipsis where it had to be cut.
 * @param {CanvasRenderingContext2D} context
 * @param {string} text
 * @param {number} width
 */
function shorten(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length - 1;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}
