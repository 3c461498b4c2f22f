/** What lies under a pointer. */

import { sampleMask } from "./maskpixels.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Box} Box */

/** A mask is looked at only so near the pointer, in pixels of the image: it has no area at a point. */
const PIXEL = 1;

/**
 * The smallest finding at a place: what is small lies on what is large.
 * @param {NamedFinding[]} findings
 * @param {number} x In pixels of the image.
 * @param {number} y
 * @returns {NamedFinding|null}
 */
export function findingAt(findings, x, y) {
  const near = findings.filter(({ box }) => box && x >= box.x1 && x <= box.x2 && y >= box.y1 && y <= box.y2);
  near.sort((a, b) => areaOf(/** @type {Box} */ (a.box)) - areaOf(/** @type {Box} */ (b.box)));
  return near.find((finding) => holds(finding, x, y)) ?? null;
}

/**
 * Tell which finding a pointer is on, and that it has left.
 * @param {HTMLElement} element
 * @param {(across: number, down: number) => NamedFinding|null} find By the place, in shares of the element's size.
 * @param {(finding: NamedFinding|null) => void} choose
 */
export function watchPointer(element, find, choose) {
  const look = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    choose(find((event.clientX - left) / width, (event.clientY - top) / height));
  };
  for (const event of ["pointermove", "pointerdown"]) {
    element.addEventListener(event, (moved) => look(/** @type {PointerEvent} */ (moved)));
  }
  // A finger that is lifted has shown what it wanted to see.
  element.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && choose(null));
}

/** @param {Box} box */
function areaOf({ x1, y1, x2, y2 }) {
  return (x2 - x1) * (y2 - y1);
}

/**
 * Whether a finding that has its box around a place covers it.
 * @param {NamedFinding} finding
 * @param {number} x
 * @param {number} y
 */
function holds({ mask, polygon }, x, y) {
  const outlines = mask?.format === "polygon" ? mask.points : polygon && [polygon];
  if (outlines) return isWithin(outlines, x, y);
  if (!mask) return true;
  const place = { x1: Math.floor(x), y1: Math.floor(y), x2: Math.floor(x) + PIXEL, y2: Math.floor(y) + PIXEL };
  const sample = sampleMask(mask, place, 1, 1);
  return !sample || sample[0] === 1;
}

/**
 * Whether a place lies within outlines, by the even-odd rule.
 * @param {[number, number][][]} outlines
 * @param {number} x
 * @param {number} y
 */
export function isWithin(outlines, x, y) {
  let inside = false;
  for (const points of outlines) {
    points.forEach(([x2, y2], i) => {
      const [x1, y1] = points.at(i - 1) ?? points[0];
      if (y1 > y !== y2 > y && x < x1 + ((y - y1) * (x2 - x1)) / (y2 - y1)) inside = !inside;
    });
  }
  return inside;
}
