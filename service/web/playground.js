/** The playground: what is chosen, which view it is chosen for, and the gallery beside them. */

import { fetchModels } from "./api.js";
import { Chooser } from "./chooser.js";
import { listenForCode } from "./codecard.js";
import { Comparison } from "./comparison.js";
import { byId } from "./elements.js";
import { Film } from "./film.js";
import { Filter } from "./filter.js";
import { percent, TASKS } from "./findings.js";
import { showGallery } from "./gallery.js";
import { isVideo, listenForFiles } from "./intake.js";
import { Labels } from "./labels.js";
import { Live } from "./live.js";
import { report, say, showJson, wait } from "./panels.js";
import { listenForParameters, loadParameters, showParameters } from "./parameters.js";
import { areLoading, isReady } from "./models.js";
import { drawSample } from "./sample.js";
import { Stage } from "./stage.js";
import { stillView } from "./still.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./chooser.js").TaskChoice} TaskChoice */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/**
 * @typedef {{
 *   task: TaskChoice, model: Model|null, selector: string, rival: string, filter: Filter,
 *   offer: (findings: NamedFinding[], pickable?: boolean) => void, offerMore: (findings: NamedFinding[]) => void,
 *   forgetLabels: () => void
 * }} Choice What all views go by, and what they tell of the labels that there are.
 * @typedef {{
 *   take?: (file: File) => void, run: () => void, choose: () => void, change: () => void, refilter: () => void,
 *   redraw: () => void, leave: () => void, answer: () => object|null
 * }} View One of what the page shows: take a file, begin (again), go by another choice or by other parameters, show what
 *     is not filtered out now, draw at the page's size, make room for another view, and the answer that is shown.
 */

const GALLERY = "#models";
/** Milliseconds between two looks at a service that still loads its models. */
const LOOK_AGAIN_MS = 2000;

const filter = new Filter();
const chooser = new Chooser(chosen);
const labels = new Labels(filter, () => view.refilter());
/** @type {Choice} */
const choice = {
  get task() {
    return chooser.task;
  },
  get model() {
    return chooser.model;
  },
  get selector() {
    return chooser.selector;
  },
  get rival() {
    return chooser.rival;
  },
  filter,
  offer: (findings, pickable = chooser.task.id !== "classify") => labels.offer(findings, pickable),
  offerMore: (findings) => labels.add(findings),
  forgetLabels: () => labels.clear(),
};

const stage = new Stage(choice);
const still = stillView(choice);
const comparison = new Comparison(choice);
const film = new Film(choice, stage);
const live = new Live(choice, stage);
/** @type {View} */
let view = still;
/** @type {File|null} The picture that is shown, alone or twice. */
let picture = null;
/** @type {Model[]} */
let models = [];

/** Ask what is served, and offer it. */
async function begin() {
  const place = location.hash;
  chooser.offer([]);
  try {
    models = await fetchModels();
  } catch (error) {
    await chooser.choose(TASKS[0], "", "What it serves is not known.");
    report(error);
    return wait("There is no answer.");
  }
  chooser.offer(models);
  await chooser.chooseByPlace(place === GALLERY ? "" : place);
  if (place === GALLERY) openGallery();
  if (areLoading(models)) setTimeout(lookAgain, LOOK_AGAIN_MS, place);
}

/**
 * Offer what a service that was still loading has got ready since; what is chosen stays, once anything could be.
 * @param {string} place What was asked for as the page opened.
 */
async function lookAgain(place) {
  const before = JSON.stringify(models);
  // A service that does not answer now is asked again: it may be starting anew.
  models = await fetchModels().catch(() => models);
  if (JSON.stringify(models) !== before && (view === still || view === comparison)) {
    const wanted = chooser.model && isReady(chooser.model) ? chooser.place : place;
    chooser.offer(models);
    await chooser.chooseByPlace(wanted === GALLERY ? "" : wanted);
  }
  if (areLoading(models)) setTimeout(lookAgain, LOOK_AGAIN_MS, place);
}

/** Anything else is chosen. */
function chosen() {
  if (location.hash !== GALLERY) history.replaceState(null, "", chooser.place);
  showParameters(chooser.task.id);
  const wanted = pictureView();
  const isPicture = view === still || view === comparison;
  if (!isPicture || wanted === view) return view.choose();
  turnTo(wanted);
  if (picture) wanted.take?.(picture);
  else wanted.choose();
}

/**
 * What shows a picture; without one there is nothing to compare.
 * @returns {View}
 */
function pictureView() {
  return chooser.rival && picture ? comparison : still;
}

/** @param {View} next */
function turnTo(next) {
  if (view === next) return;
  view.leave();
  view = next;
  byId("workbench").classList.toggle("compares", view === comparison);
  // Only pictures are compared.
  byId("rival-field").hidden = view === film || view === live;
}

/** @param {File} file */
function takeFile(file) {
  if (location.hash === GALLERY) closeGallery(chooser.place);
  picture = isVideo(file) ? null : file;
  const taking = picture ? pictureView() : film;
  turnTo(taking);
  taking.take?.(file);
}

function useWebcam() {
  picture = null;
  turnTo(live);
  live.run();
}

/** Show what is served, in the place of the workbench. */
async function openGallery() {
  showPage("gallery");
  byId("gallery-heading").focus();
  try {
    models = await fetchModels();
  } catch (error) {
    byId("gallery-note").textContent = "What is served cannot be asked now; this is what was served before.";
    console.warn(error);
  }
  showGallery(models);
}

/**
 * Go back to the workbench, with what was chosen.
 * @param {string} place
 */
async function closeGallery(place) {
  const isChoice = place.length > 1;
  history.replaceState(null, "", isChoice ? place : chooser.place);
  showPage("playground");
  if (isChoice && place !== chooser.place) {
    chooser.offer(models);
    await chooser.chooseByPlace(place);
  }
  if (isChoice) byId("picture").focus();
}

/** Follow a link within the page; one that leads to an element of it, as the first one does, changes nothing else. */
function goToPlace() {
  const { hash } = location;
  const task = hash.slice(1).split("/")[0];
  if (hash === GALLERY) openGallery();
  else if (!task || TASKS.some(({ id }) => id === task)) closeGallery(hash);
  else history.replaceState(null, "", byId("gallery").hidden ? chooser.place : GALLERY);
}

/** @param {"gallery"|"playground"} page */
function showPage(page) {
  byId("skip").href = page === "gallery" ? "#gallery-heading" : "#picture";
  byId("skip").textContent = page === "gallery" ? "Skip to the models" : "Skip to the picture";
  byId("gallery").hidden = page !== "gallery";
  byId("playground").hidden = page !== "playground";
  for (const link of document.querySelectorAll("nav [data-page]")) {
    const isHere = /** @type {HTMLElement} */ (link).dataset.page === page;
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = page === "gallery" ? "Vitrail models" : "Vitrail playground";
}

function listen() {
  listenForFiles({ input: byId("file"), buttons: [byId("choose"), byId("replace")], frame: byId("frame") }, takeFile);
  byId("sample").addEventListener("click", async () => takeFile(await drawSample()));
  for (const id of ["webcam", "webcam-instead"]) byId(id).addEventListener("click", useWebcam);
  byId("score").addEventListener("input", () => {
    filter.threshold = Number(byId("score").value);
    byId("score-value").textContent = percent(filter.threshold);
    view.refilter();
  });
  byId("score").addEventListener("change", () => say(byId("count").textContent));
  byId("json-details").addEventListener("toggle", () => showJson(view.answer()));
  byId("retry").addEventListener("click", () => (models.length ? view.run() : begin()));
  addEventListener("hashchange", goToPlace);
  const observer = new ResizeObserver(() => requestAnimationFrame(() => view.redraw()));
  for (const id of ["frame", "comparison"]) observer.observe(byId(id));
  listenForOptions();
  listenForParameters(() => view.change());
  listenForCode();
}

function listenForOptions() {
  byId("options").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    if (view === film) film.process();
  });
  byId("options").addEventListener("change", () => view.choose());
}

listen();
begin();
loadParameters();
