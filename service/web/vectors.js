/** Vectors that stand for pictures: read, and held against one another. */

import { bytesOf, floatsOf } from "./bytes.js";

/** @typedef {Float32Array|number[]} Vector */

/**
 * @param {number[]|string} embedding Numbers, or their bytes in base64.
 * @returns {Vector}
 */
export function vectorOf(embedding) {
  return typeof embedding === "string" ? floatsOf(bytesOf(embedding)) : embedding;
}

/**
 * @param {Vector} a
 * @param {Vector} b
 */
export function cosine(a, b) {
  return dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1);
}

/**
 * @param {Vector} a
 * @param {Vector} b
 */
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
