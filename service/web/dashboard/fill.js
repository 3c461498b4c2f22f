/** Elements of the page that are filled again and again: they change only where what they show does. */

import { make } from "../elements.js";

/**
 * Put a text into an element, if it is another one: what is selected or read out is left alone otherwise.
 * @param {Element} element
 * @param {string} text
 */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A bar that only shows what stands beside it in figures; the style sheet takes its parts from custom properties.
 * @param {string} className
 * @param {...string} parts Class names of its parts, the first at the back.
 */
export function partedBar(className, ...parts) {
  const element = make("span", className, ...parts.map((part) => make("span", part)));
  element.setAttribute("aria-hidden", "true");
  return element;
}

/**
 * Give the style sheet a number.
 * @param {HTMLElement} element
 * @param {string} property
 * @param {number} value
 */
export function setShare(element, property, value) {
  element.style.setProperty(property, String(Number.isFinite(value) ? Math.round(value * 1e4) / 1e4 : 0));
}

/**
 * Bring an element to its place among its siblings, if it stands elsewhere: moving takes the focus away.
 * @param {Element} parent
 * @param {Element} element
 * @param {number} place
 */
export function placeAt(parent, element, place) {
  if (parent.children[place] !== element) parent.insertBefore(element, parent.children[place] ?? null);
}
