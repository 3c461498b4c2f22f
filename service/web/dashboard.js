/** The dashboard: asks for the history again and again, and hands it to all that shows it. */

import { makeAnswers } from "./dashboard/answers.js";
import { makeBatches } from "./dashboard/batches.js";
import { makeCharts } from "./dashboard/charts.js";
import { describeChoice, isFiltered, readChoice, writeChoice } from "./dashboard/choice.js";
import { showEmptiness } from "./dashboard/empty.js";
import { makeFigures } from "./dashboard/figures.js";
import { write } from "./dashboard/fill.js";
import { Filters } from "./dashboard/filters.js";
import { fetchHistory, fetchServed, Refusal } from "./dashboard/history.js";
import { Poll } from "./dashboard/poll.js";
import { makeStages } from "./dashboard/stages.js";
import { clock } from "./dashboard/units.js";
import { Versions } from "./dashboard/versions.js";
import { byId } from "./elements.js";

/** @typedef {import("./dashboard/choice.js").Choice} Choice */
/** @typedef {import("./dashboard/history.js").History} History */
/** @typedef {import("./dashboard/history.js").ServedModel} ServedModel */

/** Models come and go seldom. */
const SERVED_FOR_MS = 60_000;
const ANY_MODEL = { model: "", version: "" };

let choice = readChoice(location.hash);
/** @type {History|null} */
let latest = null;
/** @type {ServedModel[]|null} */
let served = null;
let servedAt = -Infinity;
/** @type {import("./dashboard/history.js").VersionFigures[]} */
let traffic = [];
let lost = false;

const views = [makeFigures(), makeStages(), makeCharts(), makeAnswers(), makeBatches()];
const versions = new Versions(chooseVersion);
const filters = new Filters((change) => choose({ ...choice, ...change }));
const poll = new Poll({ ask, every_ms: () => choice.span.pollEvery_ms, failed: showLoss });

/**
 * Ask for the history and show it, and now and then for the models.
 * @param {AbortSignal} signal
 */
async function ask(signal) {
  const history = await fetchHistory(choice, signal);
  // A version is chosen among the others: the table goes on showing them.
  const others = choice.model ? await fetchHistory({ ...choice, ...ANY_MODEL }, signal) : history;
  latest = history;
  traffic = others.versions;
  show();
  if (performance.now() - servedAt < SERVED_FOR_MS) return;
  const models = await fetchServed(signal).catch(() => null);
  if (!models) return;
  served = models;
  servedAt = performance.now();
  show();
}

function show() {
  if (!latest) return;
  showPulse();
  filters.show(choice, served ?? [], latest);
  showEmptiness(latest, choice, served);
  for (const view of views) view(latest);
  versions.show(traffic, choice);
}

/** Say how fresh the figures are; only what changes is said aloud. */
function showPulse() {
  if (!latest) return;
  if (lost) announce("The service answers again.");
  lost = false;
  byId("lost").hidden = true;
  byId("pulse").dataset.state = poll.paused ? "paused" : "live";
  write(byId("pulse"), `${poll.paused ? "Paused at" : "Live,"} ${clock(latest.now)}`);
}

/** @param {unknown} error */
function showLoss(error) {
  const refused = error instanceof Refusal;
  const title = refused ? "The service does not give its history" : "The service does not answer";
  if (!lost) announce(`${title}.`);
  lost = true;
  const figures = latest ? [`The figures are those of ${clock(latest.now)}.`] : [];
  const hope = "The page asks again by itself, and goes on when there is an answer.";
  write(byId("lost-title"), title);
  write(byId("lost-detail"), [...(refused ? [error.message] : []), ...figures, hope].join(" "));
  byId("lost").hidden = false;
  byId("pulse").dataset.state = "lost";
  write(byId("pulse"), latest ? `No answer since ${clock(latest.now)}` : "No answer");
}

/** @param {Choice} wanted */
function choose(wanted) {
  choice = wanted;
  if (location.hash !== writeChoice(choice)) history.replaceState(null, "", writeChoice(choice));
  write(byId("figures-heading"), describeChoice(choice));
  byId("everything").hidden = !isFiltered(choice);
  filters.show(choice, served ?? [], latest);
  poll.now();
}

/**
 * Show one version alone, or all again if it is the one.
 * @param {string} model
 * @param {string} version
 */
function chooseVersion(model, version) {
  const same = choice.model === model && choice.version === version;
  choose({ ...choice, model: same ? "" : model, version: same ? "" : version });
}

function togglePause() {
  if (poll.paused) poll.resume();
  else poll.pause();
  write(byId("pause"), poll.paused ? "Go on" : "Pause");
  if (!lost) showPulse();
}

/** @param {string} text */
function announce(text) {
  byId("status").textContent = text;
}

byId("pause").addEventListener("click", togglePause);
byId("everything").addEventListener("click", () => {
  choose({ ...choice, task: "", ...ANY_MODEL });
  byId("figures-heading").focus({ preventScroll: true });
});
addEventListener("hashchange", () => {
  // The link that skips to the figures names an element of the page, and no choice.
  if (document.getElementById(location.hash.slice(1))) history.replaceState(null, "", writeChoice(choice));
  else choose(readChoice(location.hash));
});
choose(choice);
