/** A picture: sent to the model as soon as it is there, and shown with the answer upon it. */

import { predict } from "./api.js";
import { showCode } from "./codecard.js";
import { curlCommand } from "./command.js";
import { draw } from "./draw.js";
import { byId, grouped } from "./elements.js";
import { liftFinding, showFindings } from "./findinglist.js";
import { findingsOf, percent } from "./findings.js";
import { findingAt, watchPointer } from "./hit.js";
import { loadPicture } from "./intake.js";
import { describeMap, renderMap } from "./maps.js";
import { readPictures } from "./maskpixels.js";
import {
  clearAnswer, fileSize, report, say, showCaption, showCount, showJson, showSentence, showVector, wait,
} from "./panels.js";
import { taskParameters, typedParameters } from "./parameters.js";
import { pythonCode } from "./pythoncode.js";
import { cosine, vectorOf } from "./vectors.js";
import { showTimings } from "./waterfall.js";

/** @typedef {import("./api.js").Answer} Answer */
/** @typedef {import("./api.js").Times} Times */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./playground.js").Choice} Choice */

const state = {
  /** @type {File|null} */ file: null,
  /** @type {HTMLImageElement|null} */ picture: null,
  /** @type {Answer|null} */ answer: null,
  /** @type {CanvasImageSource|null} What the answer puts in the picture's place. */ rendered: null,
  /** @type {NamedFinding[]} */ findings: [],
  /** @type {NamedFinding[]} Those that are not filtered out. */ shown: [],
  /** @type {NamedFinding|null} */ chosen: null,
  /** @type {{model: string, vector: Float32Array|number[]}|null} */ lastVector: null,
  /** @type {AbortController|null} */ running: null,
};

/**
 * The view of one picture, or of none yet.
 * @param {Choice} choice
 * @returns {import("./playground.js").View & {take: (file: File) => void}}
 */
export function stillView(choice) {
  watchPointer(byId("canvas"), underPointer, (finding) => pointOut(choice, finding));
  return {
    take: (file) => takeFile(choice, file),
    run: () => run(choice),
    choose: () => run(choice),
    change: () => run(choice),
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
  Object.assign(state, { answer: null, rendered: null, findings: [], shown: [], chosen: null });
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
  const { task, selector } = choice;
  const asked = { task: task.id, model: selector, parameters: taskParameters() };
  const python = pythonCode(task.id, selector, typedParameters(), file?.name ?? "picture.jpg");
  showCode(selector ? { curl: curlCommand(asked, file), python } : null);
  forget();
  showPicture(choice);
  if (!file || !selector) return;
  const running = new AbortController();
  state.running = running;
  setBusy(choice);
  try {
    const { answer, times } = await predict(asked, file, running.signal);
    const [result] = answer.results;
    const findings = findingsOf(result);
    await readPictures(findings, result.palette);
    const rendered = result.map ? await renderMap(task.id, result.map, state.picture) : null;
    if (state.running !== running) return;
    Object.assign(state, { answer, findings, rendered });
    showAnswer(choice, answer, times);
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
 * @param {Times} times
 */
function showAnswer(choice, answer, times) {
  const [result] = answer.results;
  const { task } = choice;
  byId("model-version").textContent = `version ${answer.model.version}`;
  wait("");
  showTimings(times);
  showJson(answer);
  if (result.embedding) {
    showEmbedding(answer.model.name, result.embedding);
  } else if (state.rendered) {
    const text = describeMap(task.id, result, sizeOf(state.rendered));
    showSentence(text);
    say(`${task.title}: ${text}`);
  } else {
    byId("threshold").hidden = !state.findings.some(({ score }) => score !== undefined);
    choice.offer(state.findings);
    showVisible(choice);
    say(spoken(choice, state.shown));
  }
  showPicture(choice);
}

/**
 * The size of a picture in its own pixels.
 * @param {any} picture An image or a canvas.
 * @returns {{width: number, height: number}}
 */
export function sizeOf(picture) {
  return { width: picture.naturalWidth ?? picture.width, height: picture.naturalHeight ?? picture.height };
}

/**
 * @param {string} model
 * @param {number[]|string} embedding
 */
function showEmbedding(model, embedding) {
  const vector = vectorOf(embedding);
  const before = state.lastVector;
  const comparable = before?.model === model && before.vector.length === vector.length;
  showVector(vector, comparable ? cosine(before.vector, vector) : null);
  state.lastVector = { model, vector };
  byId("count").textContent = `${grouped(vector.length)} numbers`;
  say(`A vector of ${vector.length} numbers`);
}

/** @param {Choice} choice */
function refilter(choice) {
  showVisible(choice);
  showPicture(choice);
}

/**
 * List what is not filtered out.
 * @param {Choice} choice
 */
function showVisible(choice) {
  const { findings } = state;
  state.shown = findings.filter((finding) => choice.filter.shows(finding));
  state.chosen = null;
  showCount(state.shown.length, findings.length, choice.task.noun);
  const point = (/** @type {NamedFinding|null} */ finding) => pointOut(choice, finding);
  showFindings(state.shown, choice.task.noun[1], choice.task.id === "classify" ? null : point);
  wait(state.shown.length ? "" : findings.length ? choice.filter.reason : choice.task.nothing);
}

/**
 * @param {number} across
 * @param {number} down In shares of the picture's size.
 */
function underPointer(across, down) {
  const image = state.answer?.results[0].image;
  return image && !state.rendered ? findingAt(state.shown, across * image.width, down * image.height) : null;
}

/**
 * Lift one finding out of the others, in the picture and in the list.
 * @param {Choice} choice
 * @param {NamedFinding|null} finding
 */
function pointOut(choice, finding) {
  if (state.chosen === finding) return;
  state.chosen = finding;
  byId("canvas").style.cursor = finding ? "pointer" : "";
  liftFinding(finding);
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
  const listed = answer && !answer.results[0].embedding && !rendered;
  const label = rendered ? byId("answer").textContent : listed ? spoken(choice, state.shown) : "";
  const chosen = state.chosen ? ` Pointed out: ${state.chosen.name} ${percent(state.chosen.score)}.` : "";
  byId("canvas").setAttribute("aria-label", `${name}. ${label}${chosen}`);
  const room = { width: byId("frame").clientWidth, height: Math.max(280, window.innerHeight * 0.72) };
  draw(byId("canvas"), room, size, rendered ?? picture, answer ? state.shown : [], state.chosen);
}
