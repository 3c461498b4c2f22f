/** The elements of the page: found, made, and filled with text that is never markup. */

const SVG = "http://www.w3.org/2000/svg";
/** What nobody sees and what turns the order of letters around: a name must not speak for what stands beside it. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/g;
const LONGEST = 240;

/**
 * The element with an id that the page is known to have.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element ${id}`);
  return element;
}

/**
 * Make an element.
 * @param {string} tag
 * @param {string} className
 * @param {...(Node|string)} children
 */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * Make an element of a drawing.
 * @param {string} tag
 * @param {Record<string, string|number>} attributes
 * @param {...(Node|string)} children
 */
export function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * A bar whose length the style sheet takes from ``--start`` and ``--length``, in shares of the whole.
 * @param {number} start
 * @param {number} length
 * @param {string} [colour]
 */
export function bar(start, length, colour) {
  const element = make("span", "bar", make("span", "fill"));
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--start", String(start));
  element.style.setProperty("--length", String(length));
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}

/**
 * A name as it can be shown: one line, of a length that can be measured, and in the order in which it is written.
 * @param {string} text From a model's card, which anybody may have written.
 * @param {string} nothing What is shown where nothing of it can be seen.
 */
export function shownName(text, nothing) {
  const seen = text.slice(0, 4 * LONGEST).replace(UNSEEN, " ").replace(/\s+/g, " ").trim();
  if (!seen) return nothing;
  return seen.length > LONGEST ? `${seen.slice(0, LONGEST)}…` : seen;
}

/**
 * A name among other words: its letters' direction stays its own.
 * @param {string} className
 * @param {string} name
 */
export function named(className, name) {
  const element = make("bdi", className, name);
  element.title = name;
  return element;
}

/** @param {number} value */
export function grouped(value) {
  return value.toLocaleString("en");
}

/**
 * Milliseconds to a precision that can be compared.
 * @param {number} value
 */
export function milliseconds(value) {
  return `${value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0)} ms`;
}
