/** How far two answers to one picture differ: the vision diff, by the service's own rules for each task. */

import { readValues } from "./maps.js";
import { compareLabels, compareMaps, differing } from "./mapdifference.js";
import { COMPARED, match, overlapOf } from "./matching.js";
import { cosine, vectorOf } from "./vectors.js";

/** @typedef {import("./api.js").Result} Result */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./matching.js").Matches} Matches */
/** @typedef {{name: string, first: number|null, second: number|null}} ClassPair A class, and its score on each side. */
/**
 * @typedef {{
 *   share: number|null, text: string, classes?: ClassPair[], matches?: Matches,
 *   apart?: import("./mapdifference.js").Apart|null
 * }} Difference ``share``: how much of the answer differs, 0…1; null where that cannot be said.
 */

/** By which rounded probabilities may add to more than 1. */
const ROUNDING = 1e-4;

/**
 * Compare two results of one task.
 * @param {string} task
 * @param {{result: Result, findings: NamedFinding[]}} one With those of its findings that are looked at.
 * @param {{result: Result, findings: NamedFinding[]}} other
 * @param {boolean} sameModel Whether both are versions of one model, so that equal numbers are equal classes.
 * @returns {Promise<Difference>}
 */
export async function differenceOf(task, { result: first, findings: ones }, { result: second, findings: others }, sameModel) {
  const labelOf = (/** @type {NamedFinding} */ { label, index }) => (sameModel ? index : label);
  if (first.embedding && second.embedding) return ofVectors(vectorOf(first.embedding), vectorOf(second.embedding));
  if (first.map && second.map) {
    const channels = task === "restore" ? 3 : 1;
    const [values, otherValues] = [await readValues(first.map, channels), await readValues(second.map, channels)];
    return compareMaps(task, values, otherValues, first.quantity === "metres" && second.quantity === "metres");
  }
  if (task === "classify") return ofClasses(ones, others, labelOf);
  if (task === "segment" && [...ones, ...others].some(({ score }) => score === undefined)) {
    return ofPixels(ones, others, first.image, labelOf);
  }
  return ofObjects(ones, others, labelOf);
}

/**
 * The least total variation distance that both lists allow: a class that is not shown is no more probable than the least
 * that is, nor than what is left of 1.
 * @param {NamedFinding[]} ones
 * @param {NamedFinding[]} others
 * @param {(finding: NamedFinding) => unknown} labelOf
 * @returns {Difference}
 */
function ofClasses(ones, others, labelOf) {
  const [first, second] = [ones, others].map((side) => new Map(side.map((found) => [labelOf(found), found.score ?? 0])));
  const names = new Map([...others, ...ones].map((found) => [labelOf(found), found.name]));
  const classes = [...names].map(([label, name]) => ({ name, first: first.get(label) ?? null, second: second.get(label) ?? null }));
  classes.sort((a, b) => Math.max(b.first ?? 0, b.second ?? 0) - Math.max(a.first ?? 0, a.second ?? 0));
  if (!ones.length || !others.length) {
    return { share: Number(ones.length !== others.length), text: "One side shows no class.", classes };
  }
  const total = Math.max(1, sum(first.values()), sum(second.values()));
  const share = Math.min(1, Math.max(excess(first, second), excess(second, first)) / total);
  const flips = labelOf(ones[0]) !== labelOf(others[0]);
  return { share, text: flips ? "The most probable class is another one." : "The most probable class is the same.", classes };
}

/**
 * How much more probable the shown classes are than the other answer allows.
 * @param {Map<unknown, number>} shown
 * @param {Map<unknown, number>} other
 */
function excess(shown, other) {
  const total = sum(other.values());
  const least = Math.min(...[...other.values()].slice(0, COMPARED * 10));
  const unseen = total <= 1 + ROUNDING ? Math.min(least, Math.max(0, 1 - total)) : least;
  return sum([...shown].map(([label, score]) => Math.max(0, score - (other.get(label) ?? unseen))));
}

/** @param {Iterable<number>} values */
function sum(values) {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/**
 * 1 less the panoptic quality, with the classes taken together.
 * @param {NamedFinding[]} ones
 * @param {NamedFinding[]} others
 * @param {(finding: NamedFinding) => unknown} labelOf
 * @returns {Difference}
 */
function ofObjects(ones, others, labelOf) {
  const matches = match(ones, others, labelOf);
  const same = matches.pairs.filter((pair) => pair.same);
  const similar = sum(same.map(({ similarity }) => similarity));
  const count = ones.length + others.length;
  const flips = matches.pairs.length - same.length;
  const measure = ones[0]?.keypoints ? "OKS" : "IoU";
  const text = [
    `${same.length} in both${same.length ? `, mean ${measure} ${(similar / same.length).toFixed(2)}` : ""}`,
    flips && `${flips} under another label`,
    `${matches.onlyFirst.length} only in A`,
    `${matches.onlySecond.length} only in B`,
  ].filter(Boolean).join(" · ");
  return { share: count ? Math.max(0, 1 - (2 * similar) / count) : 0, text, matches };
}

/**
 * The part of the labelled pixels whose label the other answer does not give.
 * @param {NamedFinding[]} ones
 * @param {NamedFinding[]} others
 * @param {{width: number, height: number}} image
 * @param {(finding: NamedFinding) => unknown} labelOf
 * @returns {Difference}
 */
function ofPixels(ones, others, image, labelOf) {
  const second = new Map(others.map((found) => [labelOf(found), found]));
  let [shared, labelled] = [0, 0];
  for (const { area } of [...ones, ...others]) labelled += area ?? 0;
  for (const one of ones) {
    const other = second.get(labelOf(one));
    if (one.mask?.format === "rle" && other?.mask?.format === "rle") shared += overlapOf(one.mask, other.mask).shared;
  }
  const apart = compareLabels(ones, others, image, labelOf);
  return { share: labelled ? Math.max(0, 1 - (2 * shared) / labelled) : 0, text: `${differing(apart.values)}.`, apart };
}

/**
 * @param {import("./vectors.js").Vector} one
 * @param {import("./vectors.js").Vector} other
 * @returns {Difference}
 */
function ofVectors(one, other) {
  if (one.length !== other.length) {
    return { share: null, text: `Vectors of ${one.length} and ${other.length} numbers cannot be compared.` };
  }
  const alike = cosine(one, other);
  return { share: Math.min(1, 1 - alike), text: `Cosine ${alike.toFixed(4)}: 1 is the same direction, 0 nothing in common.` };
}
