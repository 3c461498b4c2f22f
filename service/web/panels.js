/** The panels beside the picture. All text from the service goes in as text, never as markup. */

import { Problem } from "./api.js";
import { byId, make } from "./elements.js";

const JSON_SHOWN = 20_000;

/**
 * Show a vector as a strip of cells, the larger the value the stronger.
 * @param {Float32Array|number[]} vector
 * @param {number|null} similarity Cosine to the vector before, if there was one.
 */
export function showVector(vector, similarity) {
  const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", "strip"));
  const columns = Math.ceil(Math.sqrt(vector.length * 5));
  canvas.width = columns;
  canvas.height = Math.ceil(vector.length / columns);
  let largest = 0;
  for (const value of vector) largest = Math.max(largest, Math.abs(value));
  const pixels = new ImageData(canvas.width, canvas.height);
  Array.from(vector).forEach((value, i) => {
    const strength = Math.sqrt(Math.abs(value) / (largest || 1));
    pixels.data.set([...(value < 0 ? [224, 72, 98] : [84, 122, 246]), 255 * strength], 4 * i);
  });
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(pixels, 0, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `The vector's ${vector.length} values as a strip`);
  const start = Array.from(vector.slice(0, 4), (value) => value.toFixed(4)).join(", ");
  const lines = [canvas, make("p", "numbers", `[${start}, …]`)];
  if (similarity !== null) {
    lines.push(make("p", "similarity", make("strong", "", similarity.toFixed(3)), " cosine to the picture before"));
  }
  byId("answer").replaceChildren(...lines);
}

/**
 * Say in a sentence what the picture shows now.
 * @param {string} text
 */
export function showSentence(text) {
  byId("answer").replaceChildren(make("p", "facts", text));
}

/**
 * Show a problem, or none.
 * @param {import("./api.js").Problem|null} problem
 */
export function showProblem(problem) {
  byId("problem").hidden = !problem;
  if (!problem) return;
  byId("problem-title").textContent = problem.title;
  byId("problem-detail").textContent = problem.detail;
  byId("problem-code").textContent = problem.code;
  byId("problem-request").textContent = problem.requestId && `request ${problem.requestId}`;
}

/**
 * Show what went wrong, whatever it is.
 * @param {unknown} error
 */
export function report(error) {
  const unforeseen = { title: "The page failed", detail: String(error), code: "page" };
  showProblem(error instanceof Problem ? error : new Problem(unforeseen));
  if (!(error instanceof Problem)) console.error(error);
}

/** Clear all that belongs to an answer. */
export function clearAnswer() {
  for (const id of ["threshold", "labels", "again", "timings-card", "json-details"]) byId(id).hidden = true;
  byId("answer").replaceChildren();
  byId("count").textContent = "";
  wait("");
  showProblem(null);
}

/**
 * Say in the place of the answer why there is none.
 * @param {string} text
 */
export function wait(text) {
  byId("waiting").textContent = text;
  byId("waiting").hidden = !text;
}

/**
 * Tell those who hear the page rather than see it.
 * @param {string} text
 */
export function say(text) {
  byId("status").textContent = text;
}

/**
 * Say how many findings are shown.
 * @param {number} shown
 * @param {number} all
 * @param {string[]} noun One of them, and many.
 */
export function showCount(shown, all, [one, many]) {
  byId("count").textContent = shown === all ? `${all} ${all === 1 ? one : many}` : `${shown} of ${all} ${many}`;
}

/**
 * Write an answer out, if someone wants to read it.
 * @param {object|null} answer
 */
export function showJson(answer) {
  byId("json-details").hidden = !answer;
  if (!answer || !byId("json-details").open) return;
  const text = JSON.stringify(answer, null, 2);
  const cut = text.length > JSON_SHOWN;
  byId("json").textContent = cut ? `${text.slice(0, JSON_SHOWN)}\n… ${text.length - JSON_SHOWN} more characters` : text;
}

/**
 * Say what is shown.
 * @param {string} name
 * @param {string} facts
 * @param {boolean} [live] Whether it is the webcam's picture.
 */
export function showCaption(name, facts, live = false) {
  byId("caption").hidden = false;
  byId("webcam-instead").hidden = live;
  byId("file-name").textContent = name;
  byId("file-size").textContent = facts;
}

/** @param {number} bytes */
export function fileSize(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
