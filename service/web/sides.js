/** The two pictures of a comparison, and the map of what differs between them. */

import { Problem } from "./api.js";
import { draw } from "./draw.js";
import { byId, milliseconds } from "./elements.js";
import { canvasOf, contextOf, scaled } from "./maps.js";

/** @typedef {import("./comparison.js").Side} Side */
/** @typedef {import("./difference.js").Difference} Difference */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./colours.js").Glass} Glass */

/** @type {Record<"both"|"relabelled"|"first"|"second", Glass>} What became of a finding. */
export const FATES = {
  both: { fill: "#27b077", ink: "#17161d", rgb: [39, 176, 119] },
  relabelled: { fill: "#c8324a", ink: "#ffffff", rgb: [200, 50, 74] },
  first: { fill: "#2f55d4", ink: "#ffffff", rgb: [47, 85, 212] },
  second: { fill: "#e9a23b", ink: "#17161d", rgb: [233, 162, 59] },
};
const LETTERS = ["A", "B"];
/** How dark the picture lies beneath the map of what differs. */
const VEIL = "rgb(16 16 22 / 0.62)";

/**
 * Say what was asked of a side, and what came of it.
 * @param {number} place 0 or 1.
 * @param {Side} side
 * @param {string[]} noun One of what was found, and many.
 */
export function tellSide(place, { model, answer, times, problem, shown, findings }, [one, many]) {
  byId(`side-name-${place}`).textContent = model || "Nothing chosen";
  const failed = problem instanceof Problem ? `${problem.title}: ${problem.detail} (${problem.code})` : String(problem ?? "");
  byId(`side-problem-${place}`).textContent = failed;
  byId(`side-problem-${place}`).hidden = !failed;
  const facts = [
    answer && `${answer.model.name}:${answer.model.version}` !== model && `version ${answer.model.version}`,
    answer && findings.length && `${shown.length} ${shown.length === 1 ? one : many}`,
    times && milliseconds(times.stages.total),
    !answer && !failed && model && "waiting…",
  ];
  byId(`side-facts-${place}`).textContent = facts.filter(Boolean).join(" · ");
}

/**
 * Draw a side.
 * @param {number} place 0 or 1.
 * @param {HTMLImageElement|null} picture Null where the browser cannot show it.
 * @param {Side} side
 * @param {Difference|null} difference
 * @param {NamedFinding[]} chosen
 */
export function drawSide(place, picture, { model, answer, rendered, shown }, difference, chosen) {
  const canvas = byId(`side-canvas-${place}`);
  const shows = rendered ?? picture;
  const image = (rendered && sizeOf(rendered)) ?? answer?.results[0].image ?? (picture && sizeOf(picture));
  canvas.hidden = !image;
  if (!image) return;
  const findings = rendered ? [] : coloured(shown, difference, place);
  const one = findings.find(({ box }) => chosen.some((other) => other.box === box && shown.includes(other))) ?? null;
  canvas.setAttribute("aria-label", `${LETTERS[place]}: ${model}. ${byId(`side-facts-${place}`).textContent}`);
  draw(canvas, roomOf(canvas), image, shows, findings, one);
}

/**
 * Draw no picture on a side.
 * @param {number} place 0 or 1.
 */
export function clearSide(place) {
  byId(`side-canvas-${place}`).hidden = true;
}

/**
 * Draw where both sides differ, or the one picture that has no places in it.
 * @param {HTMLImageElement|null} picture
 * @param {Difference|null} difference
 * @param {boolean} placeless
 */
export function drawApart(picture, difference, placeless) {
  const apart = difference?.apart;
  const canvas = byId("apart-canvas");
  byId("apart").hidden = !(apart || (placeless && picture));
  byId("apart-facts").textContent = apart ? "Where A and B differ: bright is much, dark is little" : "";
  byId("apart-facts").hidden = !apart;
  if (byId("apart").hidden) return;
  canvas.setAttribute("aria-label", apart ? `Where both differ. ${difference.text}` : "The picture that both were asked of");
  if (!apart) return draw(canvas, roomOf(canvas), sizeOf(picture), picture, [], null);
  const size = picture ? sizeOf(picture) : { width: apart.width, height: apart.height };
  draw(canvas, roomOf(canvas), size, veiled(picture, apart), [], null);
}

/**
 * How far each place differs, over the picture in the dark.
 * @param {HTMLImageElement|null} picture
 * @param {import("./mapdifference.js").Apart} apart
 */
function veiled(picture, { width, height, values }) {
  const pixels = new ImageData(width, height);
  const most = values.reduce((largest, value) => Math.max(largest, value), 1e-3);
  values.forEach((value, i) => {
    const share = value / most;
    pixels.data.set([...scaled(0.35 + 0.65 * share), share > 0.02 ? 255 * Math.min(1, 0.25 + share) : 0], 4 * i);
  });
  const glow = canvasOf(width, height);
  contextOf(glow).putImageData(pixels, 0, 0);
  const canvas = canvasOf(width, height);
  const context = contextOf(canvas);
  context.filter = "grayscale(1)";
  if (picture) context.drawImage(picture, 0, 0, width, height);
  context.filter = "none";
  context.fillStyle = VEIL;
  context.fillRect(0, 0, width, height);
  context.drawImage(glow, 0, 0);
  return canvas;
}

/**
 * What became of the findings of a side.
 * @param {Difference|null} difference
 * @param {number} place
 * @returns {Map<NamedFinding, Glass>}
 */
function fatesOf(difference, place) {
  /** @type {Map<NamedFinding, Glass>} */
  const fates = new Map();
  const { pairs, onlyFirst, onlySecond } = difference?.matches ?? { pairs: [], onlyFirst: [], onlySecond: [] };
  for (const { first, second, same } of pairs) fates.set(place ? second : first, same ? FATES.both : FATES.relabelled);
  for (const found of place ? onlySecond : onlyFirst) fates.set(found, place ? FATES.second : FATES.first);
  return fates;
}

/** @type {WeakMap<NamedFinding[], {difference: Difference|null, findings: NamedFinding[]}>} */
const known = new WeakMap();

/**
 * Findings in the colours of what became of them: the same ones each time, for what is drawn of them is kept.
 * @param {NamedFinding[]} shown
 * @param {Difference|null} difference
 * @param {number} place
 */
function coloured(shown, difference, place) {
  const before = known.get(shown);
  if (before?.difference === difference) return before.findings;
  const fates = fatesOf(difference, place);
  const findings = shown.map((found) => ({ ...found, colour: fates.get(found) ?? found.colour }));
  known.set(shown, { difference, findings });
  return findings;
}

/** @param {HTMLCanvasElement} canvas */
function roomOf(canvas) {
  const { clientWidth } = /** @type {HTMLElement} */ (canvas.parentElement);
  return { width: clientWidth, height: Math.max(240, window.innerHeight * 0.6) };
}

/**
 * @param {any} picture An image or a canvas.
 * @returns {{width: number, height: number}}
 */
function sizeOf(picture) {
  return { width: picture.naturalWidth ?? picture.width, height: picture.naturalHeight ?? picture.height };
}
