/** Masks of every form that has pixels, sampled at any resolution. */

import { bytesOf } from "./bytes.js";
import { decodeCounts, sampleRuns } from "./masks.js";

/** @typedef {import("./api.js").Box} Box */
/** @typedef {import("./api.js").Mask} Mask */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {{width: number, height: number, inside: (x: number, y: number) => boolean}} Pixels */

/** @type {WeakMap<Mask, number[]>} Run lengths that have been read. */
const runs = new WeakMap();
/** @type {WeakMap<Mask, Pixels>} Pictures and bits that have been read. */
const pixels = new WeakMap();

/**
 * Sample the part of a mask that lies in a box.
 * @param {Mask} mask
 * @param {Box} box In pixels of the image.
 * @param {number} width Of the sample.
 * @param {number} height Of the sample.
 * @returns {Uint8Array|null} 1 inside and 0 outside, [height, width], row by row; null for a form that has no pixels,
 *     or whose picture has not been read.
 */
export function sampleMask(mask, box, width, height) {
  const [left, top] = "origin" in mask && mask.origin ? mask.origin : [0, 0];
  const part = { x1: box.x1 - left, y1: box.y1 - top, x2: box.x2 - left, y2: box.y2 - top };
  if (mask.format === "rle") return sampleRuns(runsOf(mask), mask.size[0], part, width, height);
  if (mask.format === "bits" && !pixels.has(mask)) pixels.set(mask, readBits(mask));
  const read = pixels.get(mask);
  return read ? samplePixels(read, part, width, height) : null;
}

/**
 * The run lengths of a mask, read once.
 * @param {import("./api.js").RleMask} mask
 */
export function runsOf(mask) {
  const known = runs.get(mask) ?? decodeCounts(mask.counts);
  runs.set(mask, known);
  return known;
}

/**
 * Read the masks that came as pictures, so that they can be sampled.
 * @param {NamedFinding[]} findings
 * @param {{data: string}|undefined} palette The picture in which each mask has a value of its own.
 * @returns {Promise<boolean>} Whether there were any.
 */
export async function readPictures(findings, palette) {
  const masks = findings.map(({ mask }) => mask).filter((mask) => mask !== undefined);
  const own = masks.filter((mask) => mask.format === "png");
  await Promise.all(own.map(async (mask) => pixels.set(mask, brighterThan(await draw(mask.data), 127))));
  const shared = masks.filter((mask) => mask.format === "palette");
  if (shared.length && palette) {
    const values = coloursByValue(bytesOf(palette.data));
    const picture = await draw(palette.data);
    for (const mask of shared) pixels.set(mask, ofColour(picture, values[mask.value]));
  }
  return own.length + shared.length > 0;
}

/** @param {string} data A PNG, in base64. */
async function draw(data) {
  const image = new Image();
  image.src = `data:image/png;base64,${data}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: image.naturalWidth, height: image.naturalHeight });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/**
 * @param {ImageData} picture
 * @param {number} grey
 * @returns {Pixels}
 */
function brighterThan({ width, height, data }, grey) {
  return { width, height, inside: (x, y) => data[4 * (y * width + x)] > grey };
}

/**
 * @param {ImageData} picture
 * @param {number|undefined} colour As `coloursByValue` has it.
 * @returns {Pixels}
 */
function ofColour({ width, height, data }, colour) {
  const rgb = (/** @type {number} */ i) => (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
  return { width, height, inside: (x, y) => rgb(4 * (y * width + x)) === colour };
}

/**
 * The colours of a PNG's palette: browsers give colours only, and not the values that they stand for.
 * @param {Uint8Array} png
 * @returns {number[]} Red, green and blue as one number, by value.
 */
function coloursByValue(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  // Behind the eight bytes of the signature: length, four letters, content, and four bytes of check, again and again.
  for (let at = 8; at + 8 <= png.length; at += 12 + view.getUint32(at)) {
    if (view.getUint32(at + 4) !== 0x504c5445) continue;
    return Array.from({ length: view.getUint32(at) / 3 }, (_, i) => view.getUint32(at + 7 + 3 * i) & 0xffffff);
  }
  return [];
}

/**
 * @param {import("./api.js").BitsMask} mask
 * @returns {Pixels}
 */
function readBits({ size: [height, width], data }) {
  const bytes = bytesOf(data);
  const stride = Math.ceil(width / 8);
  return { width, height, inside: (x, y) => Boolean(bytes[y * stride + (x >> 3)] & (128 >> (x & 7))) };
}

/**
 * @param {Pixels} read
 * @param {Box} part
 * @param {number} width
 * @param {number} height
 */
function samplePixels(read, part, width, height) {
  const sample = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(part.y1 + ((y + 0.5) * (part.y2 - part.y1)) / height);
    if (row < 0 || row >= read.height) continue;
    for (let x = 0; x < width; x++) {
      const column = Math.floor(part.x1 + ((x + 0.5) * (part.x2 - part.x1)) / width);
      if (column >= 0 && column < read.width && read.inside(column, row)) sample[y * width + x] = 1;
    }
  }
  return sample;
}
