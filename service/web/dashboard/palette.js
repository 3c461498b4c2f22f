/** The style sheet's colours, for what is painted rather than styled. */

const dark = matchMedia("(prefers-color-scheme: dark)");
/** @type {Map<string, string>} */
const known = new Map();

/**
 * The value that a custom property of the page has in the scheme that holds now.
 * @param {string} property For instance ``--ink``.
 */
export function colour(property) {
  let value = known.get(property);
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(property).trim();
    known.set(property, value);
  }
  return value;
}

/**
 * Call back when light turns to dark or dark to light.
 * @param {() => void} changed
 */
export function onScheme(changed) {
  dark.addEventListener("change", () => {
    known.clear();
    changed();
  });
}
