/** The playground: what has been chosen, what has been answered, and the order in which things happen. */

import { fetchModels, predict, Problem } from "./api.js";
import { curlCommand } from "./command.js";
import { draw } from "./draw.js";
import { findingsOf, percent, reaches, TASKS } from "./findings.js";
import { listenForPictures, loadPicture } from "./intake.js";
import { describeMap, renderMap } from "./maps.js";
import {
  byId, isReady, showFindings, showModel, showProblem, showSentence, showTimings, showVector,
} from "./panels.js";
import { drawSample } from "./sample.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./api.js").Answer} Answer */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */

const JSON_SHOWN = 20_000;

const state = {
  /** @type {Model[]} */ models: [],
  task: TASKS[0],
  /** @type {Model|null} */ model: null,
  /** @type {File|null} */ file: null,
  /** @type {HTMLImageElement|null} */ picture: null,
  /** @type {Answer|null} */ answer: null,
  /** @type {CanvasImageSource|null} What the answer puts in the picture's place. */ rendered: null,
  /** @type {NamedFinding[]} */ findings: [],
  /** @type {NamedFinding|null} */ chosen: null,
  threshold: 0,
  /** @type {{model: string, vector: number[]}|null} */ lastVector: null,
  /** @type {AbortController|null} */ running: null,
};

/** Ask what is served, and offer it. */
async function begin() {
  const wanted = TASKS.find((task) => task.id === location.hash.slice(1)) ?? TASKS[0];
  showTasks();
  try {
    state.models = await fetchModels();
  } catch (error) {
    chooseTask(wanted, "What it serves is not known.");
    return report(error);
  }
  showTasks();
  const absence = "The service has no model yet; vitrail-build makes one.";
  chooseTask([wanted, ...TASKS].find((task) => modelsOf(task.id).some(isReady)) ?? wanted, absence);
}

/** @param {string} task */
function modelsOf(task) {
  return state.models.filter((model) => model.task === task);
}

function showTasks() {
  const buttons = TASKS.map((task) => {
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "task", value: task.id, disabled: !modelsOf(task.id).length });
    input.addEventListener("change", () => chooseTask(task));
    const label = document.createElement("label");
    label.append(input, Object.assign(document.createElement("span"), { textContent: task.title }));
    return label;
  });
  byId("tasks").replaceChildren(...buttons);
}

/**
 * @param {typeof TASKS[number]} task
 * @param {string} [absence] What to say where there is no model.
 */
function chooseTask(task, absence = "") {
  state.task = task;
  history.replaceState(null, "", `#${task.id}`);
  for (const input of document.querySelectorAll("input[name=task]")) {
    /** @type {HTMLInputElement} */ (input).checked = /** @type {HTMLInputElement} */ (input).value === task.id;
  }
  const models = modelsOf(task.id);
  const options = models.map((model) => {
    const text = isReady(model) ? model.name : `${model.name} (not ready)`;
    return Object.assign(document.createElement("option"), { value: model.name, textContent: text, disabled: !isReady(model) });
  });
  const none = Object.assign(document.createElement("option"), { textContent: "No model" });
  byId("model").replaceChildren(...(options.length ? options : [none]));
  byId("model").disabled = !options.length;
  chooseModel(models.find((model) => model.default && isReady(model)) ?? models.find(isReady) ?? models[0] ?? null, absence);
}

/**
 * @param {Model|null} model
 * @param {string} [absence]
 */
function chooseModel(model, absence = "") {
  state.model = model;
  if (model) byId("model").value = model.name;
  showModel(model, absence);
  run();
}

/** @param {File} file */
async function takeFile(file) {
  stop();
  state.file = file;
  const picture = await loadPicture(file);
  if (state.file !== file) return;
  state.picture = picture;
  await run();
}

/** Drop the answer, which belongs to another picture or model. */
function forget() {
  Object.assign(state, { answer: null, rendered: null, findings: [], chosen: null });
  for (const id of ["threshold", "timings-card", "json-details"]) byId(id).hidden = true;
  byId("answer").replaceChildren();
  byId("count").textContent = "";
  wait(state.file ? "" : "The answer stands here as soon as there is a picture.");
  showProblem(null);
}

/**
 * Say in the place of the answer why there is none.
 * @param {string} text
 */
function wait(text) {
  byId("waiting").textContent = text;
  byId("waiting").hidden = !text;
}

/** Wait no longer for an answer that nobody wants now. */
function stop() {
  state.running?.abort();
  state.running = null;
  setBusy(false);
}

/** Send the picture to the model, and show what comes back; a newer request takes the place of this one. */
async function run() {
  stop();
  const { task, model, file } = state;
  byId("curl-card").hidden = !model;
  if (model) byId("curl").textContent = curlCommand(task.id, model.name, file);
  forget();
  showPicture();
  if (!file || !model) return;
  const running = new AbortController();
  state.running = running;
  setBusy(true);
  const begun = performance.now();
  try {
    const answer = await predict(task.id, model.name, file, running.signal);
    const roundTrip = performance.now() - begun;
    const map = answer.results[0].map;
    const rendered = map ? await renderMap(task.id, map, state.picture) : null;
    if (state.running === running) showAnswer(answer, rendered, roundTrip);
  } catch (error) {
    if (state.running === running) report(error);
  } finally {
    if (state.running === running) setBusy(false);
  }
}

/** @param {boolean} busy */
function setBusy(busy) {
  byId("frame").setAttribute("aria-busy", String(busy));
  if (busy) {
    wait("Waiting for the answer…");
    say(`${state.task.title}: waiting for the answer`);
  }
}

/**
 * @param {Answer} answer
 * @param {CanvasImageSource|null} rendered The answer's map, where it has one.
 * @param {number} roundTrip In milliseconds.
 */
function showAnswer(answer, rendered, roundTrip) {
  const result = answer.results[0];
  state.answer = answer;
  state.rendered = rendered;
  state.findings = findingsOf(result);
  byId("model-version").textContent = `version ${answer.model.version}`;
  wait("");
  showTimings(answer.timings_ms, roundTrip);
  byId("json-details").hidden = false;
  showJson();
  if (result.embedding) {
    showEmbedding(answer.model.name, result.embedding);
  } else if (rendered) {
    const text = describeMap(state.task.id, result, /** @type {any} */ (sizeOf(rendered)));
    byId("threshold").hidden = true;
    showSentence(text);
    say(`${state.task.title}: ${text}`);
  } else {
    byId("threshold").hidden = !state.findings.some((finding) => finding.score !== undefined);
    showVisible();
    say(spoken(visible()));
  }
  showPicture();
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

/** The findings that reach the threshold. */
function visible() {
  return state.findings.filter((finding) => reaches(finding, state.threshold));
}

/** List what reaches the threshold. */
function showVisible() {
  const shown = visible();
  state.chosen = null;
  const [one, many] = state.task.noun;
  const all = state.findings.length;
  byId("count").textContent = shown.length === all ? `${all} ${all === 1 ? one : many}` : `${shown.length} of ${all} ${many}`;
  showFindings(shown, state.task.id === "classify" ? null : { choose });
  wait(shown.length ? "" : all ? "Nothing reaches this score." : state.task.nothing);
}

/** @param {NamedFinding|null} finding */
function choose(finding) {
  if (state.chosen === finding) return;
  state.chosen = finding;
  showPicture();
}

/** @param {NamedFinding[]} findings */
function spoken(findings) {
  if (!findings.length) return state.task.nothing;
  const best = findings.slice(0, 3).map((finding) => `${finding.name} ${percent(finding.score)}`).join(", ");
  const [one, many] = state.task.noun;
  return `${findings.length} ${findings.length === 1 ? one : many}: ${best}`;
}

/** Draw the picture as large as the page allows, with what was found. */
function showPicture() {
  const { file, picture, answer, rendered } = state;
  // A map fills the picture's place; where the network saw only a part of the image, a restored one has another shape.
  const sent = answer?.results[0].image ?? (picture && sizeOf(picture));
  const size = (rendered && sizeOf(rendered)) ?? sent;
  byId("prompt").hidden = Boolean(size);
  byId("caption").hidden = !file;
  byId("canvas").hidden = !size;
  byId("preview-note").hidden = !(answer && !picture && !rendered);
  if (!file) return;
  byId("file-name").textContent = file.name || "pasted picture";
  byId("file-size").textContent = `${sent ? `${sent.width} × ${sent.height} · ` : ""}${fileSize(file.size)}`;
  if (!size) return;
  const shown = answer ? visible() : [];
  const listed = answer && !answer.results[0].embedding && !rendered;
  const label = rendered ? byId("answer").textContent : listed ? spoken(shown) : "";
  byId("canvas").setAttribute("aria-label", `${file.name || "The picture"}. ${label}`);
  const room = { width: byId("frame").clientWidth, height: Math.max(280, window.innerHeight * 0.72) };
  draw(byId("canvas"), room, size, rendered ?? picture, shown, state.chosen);
}

/** @param {number} bytes */
function fileSize(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Write the answer out, once someone wants to read it. */
function showJson() {
  if (!byId("json-details").open || !state.answer) return;
  const text = JSON.stringify(state.answer, null, 2);
  const cut = text.length > JSON_SHOWN;
  byId("json").textContent = cut ? `${text.slice(0, JSON_SHOWN)}\n… ${text.length - JSON_SHOWN} more characters` : text;
}

/** @param {unknown} error */
function report(error) {
  const unforeseen = { title: "The page failed", detail: String(error), code: "page" };
  const problem = error instanceof Problem ? error : new Problem(unforeseen);
  showProblem(problem);
  wait("There is no answer.");
  if (!(error instanceof Problem)) console.error(error);
}

/** @param {string} text */
function say(text) {
  byId("status").textContent = text;
}

/** Copy the command; where the browser forbids that, select it for the reader's own copying. */
async function copyCommand() {
  try {
    await navigator.clipboard.writeText(byId("curl").textContent);
    byId("copy").textContent = "Copied";
    say("Copied");
  } catch {
    getSelection()?.selectAllChildren(byId("curl"));
    byId("copy").textContent = "Selected";
    say("Selected; copy it with the keyboard");
  }
  setTimeout(() => (byId("copy").textContent = "Copy"), 1600);
}

function listen() {
  listenForPictures(
    { input: byId("file"), buttons: [byId("choose"), byId("replace")], frame: byId("frame") },
    takeFile,
  );
  byId("sample").addEventListener("click", async () => takeFile(await drawSample()));
  byId("controls").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  byId("model").addEventListener("change", () => {
    chooseModel(state.models.find((model) => model.name === byId("model").value) ?? null);
  });
  byId("score").addEventListener("input", () => {
    state.threshold = Number(byId("score").value);
    byId("score-value").textContent = percent(state.threshold);
    showVisible();
    showPicture();
  });
  byId("score").addEventListener("change", () => say(spoken(visible())));
  byId("copy").addEventListener("click", copyCommand);
  byId("json-details").addEventListener("toggle", showJson);
  byId("retry").addEventListener("click", () => (state.models.length ? run() : begin()));
  new ResizeObserver(() => requestAnimationFrame(showPicture)).observe(byId("frame"));
}

listen();
begin();
