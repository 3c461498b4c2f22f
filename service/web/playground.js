/** The playground: what is served and chosen, and which view it is chosen for. */

import { fetchModels } from "./api.js";
import { Film } from "./film.js";
import { percent, TASKS } from "./findings.js";
import { isVideo, listenForFiles } from "./intake.js";
import { Live } from "./live.js";
import { byId, isReady, report, say, showJson, showModel, wait } from "./panels.js";
import { drawSample } from "./sample.js";
import { Stage } from "./stage.js";
import { stillView } from "./still.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {typeof TASKS[number]} TaskChoice */
/** @typedef {{task: TaskChoice, model: Model|null, threshold: number}} Choice What all views go by. */
/**
 * @typedef {{
 *   run: () => void, choose: () => void, refilter: () => void, redraw: () => void, leave: () => void,
 *   answer: () => object|null
 * }} View One of what the page shows: begin (again), go by another choice, show what reaches the threshold now, draw at
 *     the page's size, make room for another view, and the answer that is shown.
 */

/** @type {Choice} */
const choice = { task: TASKS[0], model: null, threshold: 0 };
/** @type {Model[]} */
let models = [];

const stage = new Stage(choice);
const still = stillView(choice);
const film = new Film(choice, stage);
const live = new Live(choice, stage);
/** @type {View} */
let view = still;

/** Ask what is served, and offer it. */
async function begin() {
  const wanted = TASKS.find((task) => task.id === location.hash.slice(1)) ?? TASKS[0];
  showTasks();
  try {
    models = await fetchModels();
  } catch (error) {
    chooseTask(wanted, "What it serves is not known.");
    report(error);
    return wait("There is no answer.");
  }
  showTasks();
  const absence = "The service has no model yet; vitrail-build makes one.";
  chooseTask([wanted, ...TASKS].find((task) => modelsOf(task.id).some(isReady)) ?? wanted, absence);
}

/** @param {string} task */
function modelsOf(task) {
  return models.filter((model) => model.task === task);
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
 * @param {TaskChoice} task
 * @param {string} [absence] What to say where there is no model.
 */
function chooseTask(task, absence = "") {
  choice.task = task;
  history.replaceState(null, "", `#${task.id}`);
  for (const input of document.querySelectorAll("input[name=task]")) {
    /** @type {HTMLInputElement} */ (input).checked = /** @type {HTMLInputElement} */ (input).value === task.id;
  }
  const offered = modelsOf(task.id);
  const options = offered.map((model) => {
    const text = isReady(model) ? model.name : `${model.name} (not ready)`;
    return Object.assign(document.createElement("option"), { value: model.name, textContent: text, disabled: !isReady(model) });
  });
  const none = Object.assign(document.createElement("option"), { textContent: "No model" });
  byId("model").replaceChildren(...(options.length ? options : [none]));
  byId("model").disabled = !options.length;
  const chosen = offered.find((model) => model.default && isReady(model)) ?? offered.find(isReady) ?? offered[0];
  chooseModel(chosen ?? null, absence);
}

/**
 * @param {Model|null} model
 * @param {string} [absence]
 */
function chooseModel(model, absence = "") {
  choice.model = model;
  if (model) byId("model").value = model.name;
  showModel(model, absence);
  view.choose();
}

/** @param {View} next */
function turnTo(next) {
  if (view === next) return;
  view.leave();
  view = next;
}

/** @param {File} file */
function takeFile(file) {
  const taking = isVideo(file) ? film : still;
  turnTo(taking);
  taking.take(file);
}

function useWebcam() {
  turnTo(live);
  live.run();
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
  listenForFiles({ input: byId("file"), buttons: [byId("choose"), byId("replace")], frame: byId("frame") }, takeFile);
  byId("sample").addEventListener("click", async () => takeFile(await drawSample()));
  for (const id of ["webcam", "webcam-instead"]) byId(id).addEventListener("click", useWebcam);
  byId("controls").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  byId("model").addEventListener("change", () => {
    chooseModel(models.find((model) => model.name === byId("model").value) ?? null);
  });
  byId("score").addEventListener("input", () => {
    choice.threshold = Number(byId("score").value);
    byId("score-value").textContent = percent(choice.threshold);
    view.refilter();
  });
  byId("score").addEventListener("change", () => say(byId("count").textContent));
  byId("copy").addEventListener("click", copyCommand);
  byId("json-details").addEventListener("toggle", () => showJson(view.answer()));
  byId("retry").addEventListener("click", () => (models.length ? view.run() : begin()));
  new ResizeObserver(() => requestAnimationFrame(() => view.redraw())).observe(byId("frame"));
  listenForOptions();
}

function listenForOptions() {
  byId("options").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    if (view === film) film.process();
  });
  byId("options").addEventListener("change", () => (view === live ? live.change() : view.choose()));
}

listen();
begin();
