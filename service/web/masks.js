/** Masks and polygons: COCO's compressed run lengths read and sampled, outlines made into paths. */

/** @typedef {import("./api.js").Box} Box */

/**
 * Read COCO's compressed run lengths.
 *
 * Each number is written in groups of five bits, lowest first, as characters from "0" (48); bit 6 says that another
 * group follows, and the highest bit of the last group is the sign. From the fourth number on, what is written is the
 * difference from the number two before.
 * @param {string} counts
 * @returns {number[]} Lengths of alternating runs, the first of pixels outside, down the columns.
 */
export function decodeCounts(counts) {
  /** @type {number[]} */
  const runs = [];
  let position = 0;
  while (position < counts.length) {
    let value = 0;
    let shift = 0;
    let group;
    do {
      group = counts.charCodeAt(position++) - 48;
      if (!(group >= 0 && group < 64)) throw new RangeError("these are not COCO run lengths");
      value |= (group & 31) << shift;
      shift += 5;
    } while (group & 32);
    if (group & 16 && shift < 32) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
  }
  return runs;
}

/**
 * Sample a part of a mask at another resolution, without ever unfolding the whole.
 * @param {number[]} runs As `decodeCounts` gives them.
 * @param {number} maskHeight Length of a column of the mask.
 * @param {Box} part Within the mask, in its pixels.
 * @param {number} width Of the sample.
 * @param {number} height Of the sample.
 * @returns {Uint8Array} 1 inside and 0 outside, [height, width], row by row.
 */
export function sampleRuns(runs, maskHeight, part, width, height) {
  const sample = new Uint8Array(width * height);
  let run = 0;
  let end = runs[0] ?? Infinity;
  let before = -1;
  for (let x = 0; x < width; x++) {
    const column = Math.floor(part.x1 + ((x + 0.5) * (part.x2 - part.x1)) / width) * maskHeight;
    if (column === before) {
      // An enlarged mask shows a column more than once; its runs have been passed already.
      for (let i = x; i < sample.length; i += width) sample[i] = sample[i - 1];
      continue;
    }
    before = column;
    for (let y = 0; y < height; y++) {
      const pixel = column + Math.floor(part.y1 + ((y + 0.5) * (part.y2 - part.y1)) / height);
      // Pixels are asked for in the order of the runs, so each run is passed once.
      while (pixel >= end) end += runs[++run] ?? Infinity;
      sample[y * width + x] = run & 1;
    }
  }
  return sample;
}

/**
 * The middle of a sampled mask, or null for an empty one.
 * @param {Uint8Array} sample [height, width]
 * @param {number} width
 * @returns {{x: number, y: number}|null}
 */
export function centroid(sample, width) {
  let count = 0;
  let sumX = 0;
  let sumY = 0;
  for (let i = 0; i < sample.length; i++) {
    if (!sample[i]) continue;
    count += 1;
    sumX += i % width;
    sumY += Math.floor(i / width);
  }
  return count ? { x: sumX / count, y: sumY / count } : null;
}

/**
 * A path of closed outlines; filled by the even-odd rule, an outline within another is a hole.
 * @param {[number, number][][]} outlines In image pixels.
 * @param {number} scale Canvas pixels for each image pixel.
 */
export function outlinePath(outlines, scale) {
  const path = new Path2D();
  for (const points of outlines) {
    points.forEach(([x, y], i) => (i ? path.lineTo(x * scale, y * scale) : path.moveTo(x * scale, y * scale)));
    path.closePath();
  }
  return path;
}

/**
 * The upright box around outlines.
 * @param {[number, number][][]} outlines
 * @returns {Box}
 */
export function boxAround(outlines) {
  const box = { x1: Infinity, y1: Infinity, x2: -Infinity, y2: -Infinity };
  for (const [x, y] of outlines.flat()) {
    box.x1 = Math.min(box.x1, x);
    box.y1 = Math.min(box.y1, y);
    box.x2 = Math.max(box.x2, x);
    box.y2 = Math.max(box.y2, y);
  }
  return box;
}
