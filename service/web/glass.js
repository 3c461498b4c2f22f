/** Masks as panes of tinted glass, each made once for a size and a colour. */

import { sampleMask } from "./maskpixels.js";
import { centroid } from "./masks.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Box} Box */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{key: string, canvas: HTMLCanvasElement, middle: {x: number, y: number}|null}} Glass A mask, tinted. */

const TINT = 0.46;

/** @type {WeakMap<object, Glass>} */
const tinted = new WeakMap();

/**
 * A mask as a pane of glass, made once for each size and colour.
 * @param {NamedFinding} finding
 * @param {Box} box
 * @param {number} fit
 * @param {number} density
 * @returns {Glass|null} Null where the mask has no pixels, or none yet.
 */
export function glassOf(finding, box, fit, density) {
  const mask = /** @type {import("./api.js").Mask} */ (finding.mask);
  const key = `${fit} ${density} ${finding.colour.fill}`;
  const known = tinted.get(mask);
  if (known?.key === key) return known;
  const width = (box.x2 - box.x1) * fit;
  // No finer than the mask itself: what is enlarged, the canvas smooths.
  const pixels = {
    width: Math.max(1, Math.round(Math.min(width * density, box.x2 - box.x1))),
    height: Math.max(1, Math.round(Math.min((box.y2 - box.y1) * fit * density, box.y2 - box.y1))),
  };
  const sample = sampleMask(mask, box, pixels.width, pixels.height);
  if (!sample) return null;
  const middle = centroid(sample, pixels.width);
  const glass = { key, canvas: tint(sample, pixels, finding.colour.rgb, rimOf(pixels.width / width)), middle };
  tinted.set(mask, glass);
  return glass;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Glass} glass
 * @param {Box} box
 * @param {number} fit
 * @returns {import("./captions.js").Anchor} Where its label belongs.
 */
export function drawGlass(context, { canvas, middle }, box, fit) {
  const [width, height] = [(box.x2 - box.x1) * fit, (box.y2 - box.y1) * fit];
  context.drawImage(canvas, box.x1 * fit, box.y1 * fit, width, height);
  const centre = middle ?? { x: canvas.width / 2, y: canvas.height / 2 };
  return {
    x: box.x1 * fit + (centre.x * width) / canvas.width,
    y: box.y1 * fit + (centre.y * height) / canvas.height,
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
