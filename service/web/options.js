/** The form below a video: which of its frames are processed, and how. */

import { byId } from "./elements.js";
import { taskParameters } from "./parameters.js";

/** @typedef {import("./playground.js").TaskChoice} TaskChoice */

/** Tasks whose findings can be followed from frame to frame. */
const TRACKED = new Set(["detect", "segment", "keypoints"]);

/**
 * Show what there is to choose for a video.
 * @param {TaskChoice} task
 */
export function showOptions(task) {
  byId("options").hidden = false;
  byId("track").disabled = !TRACKED.has(task.id);
}

/** Nothing is to be chosen. */
export function hideOptions() {
  byId("options").hidden = true;
}

/**
 * What is chosen for a video, as its address has it.
 * @param {TaskChoice} task
 * @returns {Record<string, string>}
 */
export function filmOptions(task) {
  return {
    ...Object.fromEntries(new URLSearchParams(byId("sampling").value)),
    ...(TRACKED.has(task.id) && byId("track").checked ? { track: "true" } : {}),
    ...(byId("annotate").checked ? { annotate: "true" } : {}),
    ...taskParameters(),
  };
}

/**
 * The same with the types that they have, for code.
 * @param {TaskChoice} task
 * @returns {Record<string, string|number|boolean>}
 */
export function typedOptions(task) {
  const own = taskParameters();
  const chosen = Object.entries(filmOptions(task)).filter(([name]) => !(name in own));
  const typed = (/** @type {string} */ value) => (value === "true" ? true : /^\d+$/.test(value) ? Number(value) : value);
  return Object.fromEntries(chosen.map(([name, value]) => [name, typed(value)]));
}
