/** What is shown: the window and the filter, which live in the address after ``#``, so that a link shares them. */

/**
 * @typedef {{seconds: number, points: number, pollEvery_ms: number, title: string, words: string}} Span A window.
 * @typedef {{span: Span, task: string, model: string, version: string}} Choice "" is any.
 */

/** @type {Span[]} */
export const SPANS = [
  { seconds: 60, points: 60, pollEvery_ms: 1000, title: "1 min", words: "minute" },
  { seconds: 300, points: 60, pollEvery_ms: 2000, title: "5 min", words: "5 minutes" },
  { seconds: 900, points: 90, pollEvery_ms: 2000, title: "15 min", words: "15 minutes" },
  { seconds: 3600, points: 90, pollEvery_ms: 2000, title: "1 h", words: "hour" },
];
const FIRST = SPANS[1];
/** Longer names than any model has are not taken from a link. */
const LONGEST = 256;

/**
 * The choice that an address states; what it does not state, or not well, is the usual.
 * @param {string} hash With or without its ``#``.
 * @returns {Choice}
 */
export function readChoice(hash) {
  const stated = new URLSearchParams(hash.replace(/^#/, ""));
  const name = (/** @type {string} */ key) => (stated.get(key) ?? "").slice(0, LONGEST);
  const seconds = Number(stated.get("window"));
  const model = name("model");
  return {
    span: SPANS.find((span) => span.seconds === seconds) ?? FIRST,
    task: name("task"),
    model,
    version: model && name("version"),
  };
}

/**
 * The choice as an address states it.
 * @param {Choice} choice
 */
export function writeChoice({ span, task, model, version }) {
  const stated = new URLSearchParams({ window: String(span.seconds) });
  for (const [name, value] of Object.entries({ task, model, version })) {
    if (value) stated.set(name, value);
  }
  return `#${stated}`;
}

/**
 * Whether only a part of the requests is asked for.
 * @param {Choice} choice
 */
export function isFiltered({ task, model, version }) {
  return Boolean(task || model || version);
}

/**
 * The choice as a heading: "Last 5 minutes of colours, version 2".
 * @param {Choice} choice
 */
export function describeChoice({ span, task, model, version }) {
  const parts = [model || task, version && `version ${version}`].filter(Boolean);
  return `Last ${span.words}${parts.length ? ` of ${parts.join(", ")}` : ""}`;
}
