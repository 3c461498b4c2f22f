/** The form below a video: which of its frames are processed, and how. */

import { byId } from "./panels.js";

/** @typedef {import("./playground.js").TaskChoice} TaskChoice */

/** Tasks whose findings can be followed from frame to frame. */
const TRACKED = new Set(["detect", "segment", "keypoints"]);

/**
 * Show what there is to choose.
 * @param {"film"|"live"} view
 * @param {TaskChoice} task
 */
export function showOptions(view, task) {
  byId("options").hidden = false;
  for (const element of document.querySelectorAll("#options .film-only")) {
    /** @type {HTMLElement} */ (element).hidden = view !== "film";
  }
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
 * The task's own parameters, written as in an address.
 * @returns {Record<string, string>}
 */
export function taskParameters() {
  return Object.fromEntries(new URLSearchParams(byId("parameters").value.trim()));
}
