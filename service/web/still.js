/** A picture: sent to the model as soon as it is there, and shown with the answer upon it. */

import { predict } from "./api.js";
import { curlCommand } from "./command.js";
import { draw } from "./draw.js";
import { findingsOf, percent, reaches } from "./findings.js";
import { loadPicture } from "./intake.js";
import { describeMap, renderMap } from "./maps.js";
import {
  byId, clearAnswer, fileSize, report, say, showCaption, showCount, showFindings, showJson, showSentence, showTimings,
  showVector, wait,
} from "./panels.js";

/** @typedef {import("./api.js").Answer} Answer */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./playground.js").Choice} Choice */

const state = {
  /** @type {File|null} */ file: null,
  /** @type {HTMLImageElement|null} */ picture: null,
  /** @type {Answer|null} */ answer: null,
  /** @type {CanvasImageSource|null} What the answer puts in the picture's place. */ rendered: null,
  /** @type {NamedFinding[]} */ findings: [],
  /** @type {NamedFinding|null} */ chosen: null,
  /** @type {{model: string, vector: number[]}|null} */ lastVector: null,
  /** @type {AbortController|null} */ running: null,
};

/**
 * The view of one picture, or of none yet.
 * @param {Choice} choice
 * @returns {import("./playground.js").View & {take: (file: File) => void}}
 */
export function stillView(choice) {
  return {
    take: (file) => takeFile(choice, file),
    run: () => run(choice),
    choose: () => run(choice),
    refilter: () => refilter(choice),
    redraw: () => showPicture(choice),
    leave,
    answer: () => state.answer,
  };
}

/**
 * @param {Choice} choice
 * @param {File} file
 */
async function takeFile(choice, file) {
  stop();
  state.file = file;
  const picture = await loadPicture(file);
  if (state.file !== file) return;
  state.picture = picture;
  await run(choice);
}

/** Drop the answer, which belongs to another picture or model. */
function forget() {
  Object.assign(state, { answer: null, rendered: null, findings: [], chosen: null });
  clearAnswer();
  wait(state.file ? "" : "The answer stands here as soon as there is a picture.");
}

/** Make room for something else than a picture. */
function leave() {
  stop();
  Object.assign(state, { file: null, picture: null });
  forget();
  for (const id of ["canvas", "prompt", "preview-note"]) byId(id).hidden = true;
}

/** Wait no longer for an answer that nobody wants now. */
function stop() {
  state.running?.abort();
  state.running = null;
  byId("frame").setAttribute("aria-busy", "false");
}

/**
 * Send the picture to the model, and show what comes back; a newer request takes the place of this one.
 * @param {Choice} choice
 */
async function run(choice) {
  stop();
  const { file } = state;
  const { task, model } = choice;
  byId("curl-card").hidden = !model;
  if (model) byId("curl").textContent = curlCommand(task.id, model.name, file);
  forget();
  showPicture(choice);
  if (!file || !model) return;
  const running = new AbortController();
  state.running = running;
  setBusy(choice);
  const begun = performance.now();
  try {
    const answer = await predict(task.id, model.name, file, running.signal);
    const roundTrip = performance.now() - begun;
    const map = answer.results[0].map;
    const rendered = map ? await renderMap(task.id, map, state.picture) : null;
    if (state.running === running) showAnswer(choice, answer, rendered, roundTrip);
  } catch (error) {
    if (state.running !== running) return;
    report(error);
    wait("There is no answer.");
  } finally {
    if (state.running === running) stop();
  }
}

/** @param {Choice} choice */
function setBusy(choice) {
  byId("frame").setAttribute("aria-busy", "true");
  wait("Waiting for the answer…");
  say(`${choice.task.title}: waiting for the answer`);
}

/**
 * @param {Choice} choice
 * @param {Answer} answer
 * @param {CanvasImageSource|null} rendered The answer's map, where it has one.
 * @param {number} roundTrip In milliseconds.
 */
function showAnswer(choice, answer, rendered, roundTrip) {
  const result = answer.results[0];
  const { task } = choice;
  state.answer = answer;
  state.rendered = rendered;
  state.findings = findingsOf(result);
  byId("model-version").textContent = `version ${answer.model.version}`;
  wait("");
  showTimings(answer.timings_ms, roundTrip);
  showJson(answer);
  if (result.embedding) {
    showEmbedding(answer.model.name, result.embedding);
  } else if (rendered) {
    const text = describeMap(task.id, result, /** @type {any} */ (sizeOf(rendered)));
    byId("threshold").hidden = true;
    showSentence(text);
    say(`${task.title}: ${text}`);
  } else {
    byId("threshold").hidden = !state.findings.some((finding) => finding.score !== undefined);
    showVisible(choice);
    say(spoken(choice, visible(choice)));
  }
  showPicture(choice);
}

/**
 * The size of a picture in its own pixels.
 * @param {any} picture An image or a canvas.
 */
function sizeOf(picture) {
  return { width: picture.naturalWidth ?? picture.width, height: picture.naturalHeight ?? picture.height };
}

/**
 * @param {string} model
 * @param {number[]} vector
 */
function showEmbedding(model, vector) {
  const before = state.lastVector;
  const comparable = before?.model === model && before.vector.length === vector.length;
  showVector(vector, comparable ? cosine(before.vector, vector) : null);
  state.lastVector = { model, vector };
  byId("count").textContent = `${vector.length.toLocaleString("en")} numbers`;
  say(`A vector of ${vector.length} numbers`);
}

/**
 * @param {number[]} a
 * @param {number[]} b
 */
function cosine(a, b) {
  const dot = (/** @type {number[]} */ u, /** @type {number[]} */ v) => u.reduce((sum, value, i) => sum + value * v[i], 0);
  return dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1);
}

/**
 * The findings that reach the threshold.
 * @param {Choice} choice
 */
function visible(choice) {
  return state.findings.filter((finding) => reaches(finding, choice.threshold));
}

/** @param {Choice} choice */
function refilter(choice) {
  showVisible(choice);
  showPicture(choice);
}

/**
 * List what reaches the threshold.
 * @param {Choice} choice
 */
function showVisible(choice) {
  const shown = visible(choice);
  const all = state.findings.length;
  state.chosen = null;
  showCount(shown.length, all, choice.task.noun);
  const point = (/** @type {NamedFinding|null} */ finding) => pointOut(choice, finding);
  showFindings(shown, choice.task.id === "classify" ? null : { choose: point });
  wait(shown.length ? "" : all ? "Nothing reaches this score." : choice.task.nothing);
}

/**
 * @param {Choice} choice
 * @param {NamedFinding|null} finding
 */
function pointOut(choice, finding) {
  if (state.chosen === finding) return;
  state.chosen = finding;
  showPicture(choice);
}

/**
 * @param {Choice} choice
 * @param {NamedFinding[]} findings
 */
function spoken(choice, findings) {
  if (!findings.length) return choice.task.nothing;
  const best = findings.slice(0, 3).map((finding) => `${finding.name} ${percent(finding.score)}`).join(", ");
  const [one, many] = choice.task.noun;
  return `${findings.length} ${findings.length === 1 ? one : many}: ${best}`;
}

/**
 * Draw the picture as large as the page allows, with what was found.
 * @param {Choice} choice
 */
function showPicture(choice) {
  const { file, picture, answer, rendered } = state;
  // A map fills the picture's place; where the network saw only a part of the image, a restored one has another shape.
  const sent = answer?.results[0].image ?? (picture && sizeOf(picture));
  const size = (rendered && sizeOf(rendered)) ?? sent;
  byId("prompt").hidden = Boolean(size);
  byId("caption").hidden = !file;
  byId("canvas").hidden = !size;
  byId("preview-note").hidden = !(answer && !picture && !rendered);
  if (!file) return;
  const name = file.name || "pasted picture";
  showCaption(name, `${sent ? `${sent.width} × ${sent.height} · ` : ""}${fileSize(file.size)}`);
  if (!size) return;
  const shown = answer ? visible(choice) : [];
  const listed = answer && !answer.results[0].embedding && !rendered;
  const label = rendered ? byId("answer").textContent : listed ? spoken(choice, shown) : "";
  byId("canvas").setAttribute("aria-label", `${name}. ${label}`);
  const room = { width: byId("frame").clientWidth, height: Math.max(280, window.innerHeight * 0.72) };
  draw(byId("canvas"), room, size, rendered ?? picture, shown, state.chosen);
}
