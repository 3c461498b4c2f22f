/** The picture with the answer upon it, on a canvas at the screen's own resolution. */

import { drawLabel, LABEL_HEIGHT, SHADE } from "./captions.js";
import { drawGlass, glassOf } from "./glass.js";
import { boxAround, outlinePath } from "./masks.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Box} Box */
/** @typedef {import("./captions.js").Anchor} Anchor */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{context: CanvasRenderingContext2D, shown: Size, fit: number, density: number}} Sheet A canvas to draw on:
 *     its size in CSS pixels, how many of those a picture's pixel has, and how many of its own pixels each of those. */

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
/** From so many findings on, boxes are drawn together, those of a colour at once, and without their edges. */
const CROWD = 400;
/** Labels that are looked for a place: more would only cover one another. */
const LABELS = 100;
/** From so many on, a label has the place where it belongs, or none. */
const MANY_LABELS = 30;

/** @type {WeakMap<NamedFinding[], {key: string, canvas: HTMLCanvasElement}>} What lies behind the chosen one. */
const layers = new WeakMap();

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
function drawFindings(sheet, findings, chosen) {
  if (!chosen) return drawAll(sheet, findings);
  const { context, shown } = sheet;
  context.globalAlpha = FADED;
  context.drawImage(layerOf(sheet, findings), 0, 0, shown.width, shown.height);
  context.globalAlpha = 1;
  context.shadowColor = "rgb(0 0 0 / 0.5)";
  context.shadowBlur = 14 * sheet.density;
  const anchor = drawShape(sheet, chosen);
  context.shadowColor = "transparent";
  if (chosen.box) drawLabel(context, chosen, anchor, shown, []);
}

/**
 * All findings on a sheet of their own, drawn once: a pointer that wanders over them would have them drawn each time.
 * @param {Sheet} sheet
 * @param {NamedFinding[]} findings
 */
function layerOf({ context: { canvas }, shown, fit, density }, findings) {
  const key = `${canvas.width} ${canvas.height}`;
  const known = layers.get(findings);
  if (known?.key === key) return known.canvas;
  const layer = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d"));
  context.scale(density, density);
  drawAll({ context, shown, fit, density }, findings);
  layers.set(findings, { key, canvas: layer });
  return layer;
}

/**
 * @param {Sheet} sheet
 * @param {NamedFinding[]} findings
 */
function drawAll(sheet, findings) {
  /** @type {Map<NamedFinding, Anchor>} */
  const anchors = new Map();
  const together = findings.length > CROWD ? findings.filter(isBox) : [];
  drawCrowd(sheet, together);
  // The best lies on top, so it is drawn last.
  for (const finding of [...findings].reverse()) {
    const { box } = finding;
    const isDrawn = together.length && box && isBox(finding);
    anchors.set(finding, isDrawn ? aboveBox(box, sheet.fit) : drawShape(sheet, finding));
  }
  /** @type {Box[]} */
  const taken = [];
  const labelled = findings.filter((candidate) => candidate.box && isNamed(candidate)).slice(0, LABELS);
  const mayMove = labelled.length < MANY_LABELS;
  for (const finding of labelled) {
    drawLabel(sheet.context, finding, /** @type {Anchor} */ (anchors.get(finding)), sheet.shown, taken, mayMove);
  }
}

/**
 * Boxes that nobody could tell apart.
 * @param {Sheet} sheet
 * @param {NamedFinding[]} findings
 */
function drawCrowd({ context, fit }, findings) {
  /** @type {Map<string, Path2D>} */
  const paths = new Map();
  for (const { box, colour } of findings) {
    if (!box) continue;
    const path = paths.get(colour.fill) ?? new Path2D();
    path.rect(box.x1 * fit, box.y1 * fit, (box.x2 - box.x1) * fit, (box.y2 - box.y1) * fit);
    paths.set(colour.fill, path);
  }
  context.lineWidth = 1.5;
  for (const [colour, path] of paths) {
    context.strokeStyle = colour;
    context.stroke(path);
  }
}

/**
 * Whether a finding is a box and nothing else.
 * @param {NamedFinding} finding
 */
function isBox({ box, mask, polygon, keypoints }) {
  return Boolean(box) && !mask && !polygon && !keypoints;
}

/**
 * @param {Box} box
 * @param {number} fit
 * @returns {Anchor}
 */
function aboveBox(box, fit) {
  return { x: box.x1 * fit - 1, y: box.y1 * fit - LABEL_HEIGHT - 3, centred: false };
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
 * @param {Sheet} sheet
 * @param {NamedFinding} finding
 * @returns {Anchor} Where its label belongs.
 */
function drawShape({ context, fit, density }, finding) {
  const { mask, polygon, keypoints, box } = finding;
  const outlines = mask?.format === "polygon" ? mask.points : polygon && [polygon];
  if (outlines?.length) return drawOutlines(context, finding, outlines, fit);
  const glass = mask && box && glassOf(finding, box, fit, density);
  if (glass) return drawGlass(context, glass, box, fit);
  if (keypoints && box) return drawPerson(context, finding, keypoints, box, fit);
  if (box) return drawBox(context, finding, box, fit);
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
  return aboveBox(box, fit);
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
