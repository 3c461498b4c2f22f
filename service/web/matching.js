/** Which finding of one answer is which of another: as the service pairs them, the same from either side. */

import { isWithin } from "./hit.js";
import { runsOf } from "./maskpixels.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Box} Box */
/**
 * @typedef {{first: NamedFinding, second: NamedFinding, similarity: number, same: boolean}} Pair ``same``: of one label.
 * @typedef {{pairs: Pair[], onlyFirst: NamedFinding[], onlySecond: NamedFinding[]}} Matches
 */

/** Two findings less alike than this are two things: the customary IoU of detection. */
const LEAST_SIMILARITY = 0.5;
/** Of each side so many are compared, the best: each is held against each. */
export const COMPARED = 1000;
/** Polygons are compared at so many places along each side of the box around both. */
const GRID = 64;
/** Twice COCO's standard deviation of a key point, as a share of the size of its person. */
const FALLOFF = 0.1;

/**
 * Pair findings greedily, the most alike first; pairs of one label come before all others.
 * @param {NamedFinding[]} first
 * @param {NamedFinding[]} second
 * @param {(finding: NamedFinding) => unknown} labelOf What makes two findings of one label.
 * @returns {Matches}
 */
export function match(first, second, labelOf) {
  const candidates = [];
  for (const [i, one] of first.slice(0, COMPARED).entries()) {
    for (const [j, other] of second.slice(0, COMPARED).entries()) {
      const similarity = similarityOf(one, other);
      if (similarity < LEAST_SIMILARITY) continue;
      const apart = Math.abs((one.score ?? 0) - (other.score ?? 0));
      candidates.push({ i, j, similarity, apart, same: labelOf(one) === labelOf(other) });
    }
  }
  candidates.sort(
    (a, b) => Number(b.same) - Number(a.same) || b.similarity - a.similarity || a.apart - b.apart || a.i + a.j - b.i - b.j,
  );
  const [takenFirst, takenSecond] = [new Set(), new Set()];
  const pairs = [];
  for (const { i, j, similarity, same } of candidates) {
    if (takenFirst.has(i) || takenSecond.has(j)) continue;
    takenFirst.add(i);
    takenSecond.add(j);
    pairs.push({ first: first[i], second: second[j], similarity, same });
  }
  return {
    pairs,
    onlyFirst: first.filter((_, i) => !takenFirst.has(i)),
    onlySecond: second.filter((_, j) => !takenSecond.has(j)),
  };
}

/**
 * How alike two findings are, 0…1: by what says most of them.
 * @param {NamedFinding} one
 * @param {NamedFinding} other
 */
export function similarityOf(one, other) {
  const [box, otherBox] = [one.box, other.box];
  if (!box || !otherBox) return 0;
  if (one.keypoints && other.keypoints) return keypointSimilarity(one.keypoints, other.keypoints, box, otherBox);
  const boxes = boxIou(box, otherBox);
  if (!boxes) return 0;
  if (one.mask?.format === "rle" && other.mask?.format === "rle") return runsIou(one.mask, other.mask);
  if (one.polygon && other.polygon) return polygonIou(one.polygon, other.polygon, box, otherBox);
  return boxes;
}

/** @param {Box} box */
function areaOf({ x1, y1, x2, y2 }) {
  return Math.max(0, x2 - x1) * Math.max(0, y2 - y1);
}

/**
 * @param {Box} a
 * @param {Box} b
 */
function boxIou(a, b) {
  const width = Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1);
  const height = Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1);
  const inside = Math.max(0, width) * Math.max(0, height);
  const union = areaOf(a) + areaOf(b) - inside;
  return union > 0 ? inside / union : Number(a.x1 === b.x1 && a.y1 === b.y1 && a.x2 === b.x2 && a.y2 === b.y2);
}

/**
 * Pixels that two masks share, and that either has.
 * @param {import("./api.js").RleMask} a
 * @param {import("./api.js").RleMask} b
 */
export function overlapOf(a, b) {
  if (a.size[0] !== b.size[0] || a.size[1] !== b.size[1]) return { shared: 0, either: 1 };
  const [ones, others] = [runsOf(a), runsOf(b)];
  let [i, j, shared, either] = [0, 0, 0, 0];
  let [left, right] = [ones[0] ?? 0, others[0] ?? 0];
  // Runs of both are walked through together; those of odd places lie inside.
  while (i < ones.length && j < others.length) {
    const length = Math.min(left, right);
    if (i & j & 1) shared += length;
    if ((i | j) & 1) either += length;
    left -= length;
    right -= length;
    if (!left) left = ones[++i] ?? 0;
    if (!right) right = others[++j] ?? 0;
  }
  return { shared, either };
}

/**
 * @param {import("./api.js").RleMask} a
 * @param {import("./api.js").RleMask} b
 */
export function runsIou(a, b) {
  const { shared, either } = overlapOf(a, b);
  return either ? shared / either : 0;
}

/**
 * @param {[number, number][]} one
 * @param {[number, number][]} other
 * @param {Box} a The box around the one.
 * @param {Box} b And around the other.
 */
function polygonIou(one, other, a, b) {
  const [left, top] = [Math.min(a.x1, b.x1), Math.min(a.y1, b.y1)];
  const [width, height] = [Math.max(a.x2, b.x2) - left, Math.max(a.y2, b.y2) - top];
  let [shared, either] = [0, 0];
  for (let place = 0; place < GRID * GRID; place++) {
    const x = left + (((place % GRID) + 0.5) / GRID) * width;
    const y = top + ((Math.floor(place / GRID) + 0.5) / GRID) * height;
    const [here, there] = [isWithin([one], x, y), isWithin([other], x, y)];
    shared += Number(here && there);
    either += Number(here || there);
  }
  return either ? shared / either : 0;
}

/**
 * COCO's object key-point similarity, the same from either side: the size is the mean of both boxes, and a key point
 * weighs as much as the surer of the two says.
 * @param {import("./api.js").Keypoint[]} ones
 * @param {import("./api.js").Keypoint[]} others
 * @param {Box} a
 * @param {Box} b
 */
function keypointSimilarity(ones, others, a, b) {
  const touch = Math.min(a.x2, b.x2) >= Math.max(a.x1, b.x1) && Math.min(a.y2, b.y2) >= Math.max(a.y1, b.y1);
  if (!touch || ones.length !== others.length) return 0;
  const area = Math.max(1, (areaOf(a) + areaOf(b)) / 2);
  let [sum, weights] = [0, 0];
  ones.forEach((point, i) => {
    const squared = (point.x - others[i].x) ** 2 + (point.y - others[i].y) ** 2;
    const weight = Math.max(point.score, others[i].score, 1e-6);
    sum += weight * Math.exp(-squared / (2 * area * FALLOFF ** 2));
    weights += weight;
  });
  return weights ? sum / weights : 0;
}
