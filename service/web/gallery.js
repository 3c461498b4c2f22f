/** The models that are served, each with its card, its certificate, and what was measured of it. */

import { byId, grouped, make, milliseconds, named, shownName } from "./elements.js";
import { TASKS } from "./findings.js";
import { badgesOf, cardOf, forEachOf, forgetCards, isReady, servedVersion } from "./models.js";
import { fileSize } from "./panels.js";
import { latencyOf, showPlot } from "./plot.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./api.js").Card} Card */
/** @typedef {import("./plot.js").Entry} Entry */

/** Models that are shown at a time. */
const SHOWN = 24;
/** Versions whose cards are read for the plot. */
const READ = 100;

const state = {
  /** @type {Model[]} */ models: [],
  /** @type {Map<string, HTMLElement>} By model, where its measured figures stand. */ places: new Map(),
  /** @type {Entry[]} */ entries: [],
  limit: SHOWN,
  listening: false,
};

/**
 * Show them.
 * @param {Model[]} models
 */
export async function showGallery(models) {
  const byTask = (/** @type {Model} */ { task }) => TASKS.findIndex(({ id }) => id === task);
  state.models = [...models].sort((a, b) => byTask(a) - byTask(b) || a.name.localeCompare(b.name));
  state.limit = SHOWN;
  state.entries = [];
  forgetCards();
  offerTasks();
  listen();
  byId("gallery-note").textContent = "";
  show();
  await readCards();
}

function listen() {
  if (state.listening) return;
  state.listening = true;
  for (const event of ["input", "change"]) {
    byId("gallery-filter").addEventListener(event, () => {
      state.limit = SHOWN;
      show();
    });
  }
  byId("gallery-filter").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  byId("gallery-more").addEventListener("click", () => {
    const next = state.limit;
    state.limit += SHOWN;
    show();
    byId("cards").children[next]?.querySelector("a")?.focus();
  });
  addEventListener("resize", () => showPlot(wanted(state.entries)));
  byId("plot-metric").addEventListener("change", () => showPlot(wanted(state.entries)));
}

function offerTasks() {
  const chosen = byId("gallery-task").value;
  const served = TASKS.filter(({ id }) => state.models.some(({ task }) => task === id));
  byId("gallery-task").replaceChildren(new Option("All tasks", ""), ...served.map(({ id, title }) => new Option(title, id)));
  byId("gallery-task").value = served.some(({ id }) => id === chosen) ? chosen : "";
}

/**
 * Those of a list that belong to a model that is asked for.
 * @template {{task: string, name: string}} T
 * @param {T[]} items
 * @returns {T[]}
 */
function wanted(items) {
  const [task, text] = [byId("gallery-task").value, byId("gallery-search").value.trim().toLowerCase()];
  return items.filter((item) => (!task || item.task === task) && item.name.toLowerCase().includes(text));
}

function show() {
  const found = wanted(state.models);
  state.places = new Map();
  byId("cards").replaceChildren(...found.slice(0, state.limit).map(cardElement));
  for (const { model, version, card } of state.entries) if (servedVersion(model)?.version === version) fill(model, card);
  byId("gallery-count").textContent = `${grouped(found.length)} ${found.length === 1 ? "model" : "models"}`;
  byId("gallery-more").hidden = found.length <= state.limit;
  byId("gallery-empty").hidden = found.length > 0;
  byId("gallery-empty").textContent = state.models.length
    ? "No model is called so."
    : "The service has no model yet; vitrail-build makes one.";
  showPlot(wanted(state.entries));
}

/** Read the cards of all versions, as far as that can be done in a moment: accuracy and speed stand only there. */
async function readCards() {
  const { models } = state;
  const served = models.flatMap((model) => [servedVersion(model)].flatMap((version) => (version ? [{ model, version }] : [])));
  const others = models.flatMap((model) =>
    model.versions.filter((version) => version !== servedVersion(model)).map((version) => ({ model, version })),
  );
  await forEachOf([...served, ...others].slice(0, READ), async ({ model, version }) => {
    const card = await cardOf(model.name, version.version);
    if (models !== state.models || !card) return;
    state.entries.push({ task: model.task, name: model.name, version: version.version, precision: version.precision, model, card });
    if (version === servedVersion(model)) fill(model, card);
  });
  if (models === state.models) showPlot(wanted(state.entries));
}

/** @param {Model} model */
function cardElement(model) {
  const version = servedVersion(model);
  const title = TASKS.find(({ id }) => id === model.task)?.title ?? model.task;
  const link = make("a", "", shownName(model.name, "(no name)"));
  link.setAttribute("href", `#${model.task}/${model.name}`);
  const measured = make("dl", "figures measured");
  state.places.set(model.name, measured);
  const known = TASKS.some(({ id }) => id === model.task) && isReady(model);
  const badges = badgesOf(model, version);
  const card = make(
    "li", "card model-card",
    make("header", "", make("h2", "", known ? link : make("span", "", model.name)), make("span", "tag", title)),
    ...(badges.length ? [make("p", "badges", ...badges)] : []),
    make("p", "description", shownName(model.description, "")),
    ...(version && version.state !== "ready" ? [make("p", "facts warning", version.reason ?? version.state)] : []),
    figures(factsOf(model)),
    certificateOf(model),
    measured,
  );
  return card;
}

/**
 * @param {[string, string][]} facts
 * @param {HTMLElement} [into]
 */
function figures(facts, into = make("dl", "figures")) {
  into.replaceChildren(...facts.map(([name, value]) => make("div", "", make("dt", "", name), make("dd", "", named("", value)))));
  into.hidden = !facts.length;
  return into;
}

/**
 * @param {Model} model
 * @returns {[string, string][]}
 */
function factsOf(model) {
  const version = servedVersion(model);
  /** @type {[string, string|false|null|undefined|0][]} */
  const facts = [
    ["Labels", model.labels && grouped(model.labels)],
    ["Input", model.input && `${model.input.width} × ${model.input.height}`],
    ["Parameters", model.parameters && short(model.parameters)],
    ["Work", model.gmacs && `${model.gmacs.toPrecision(2)} GMAC an image`],
    ["Precision", version?.precision],
    ["Memory", version?.memory_bytes && fileSize(version.memory_bytes)],
    ["Versions", model.versions.map(({ version: number }) => number).join(", ")],
    ["Licence", model.licence && shownName(model.licence, "")],
    ["Source", model.source && shownName(model.source, "")],
  ];
  return facts.flatMap(([name, value]) => (value ? [[name, value]] : []));
}

/** @param {Model} model */
function certificateOf(model) {
  const certificate = servedVersion(model)?.certificate;
  if (!certificate) return make("p", "facts", "It has no certificate.");
  const { passed, max_relative_error: error, batch_sizes: sizes, reference, engine } = certificate;
  const text = [
    passed ? "Certified" : "Not certified",
    ` against ${reference} in ${engine}`,
    error !== null && `; largest relative error ${error ? error.toExponential(1) : "0"}`,
    sizes?.length && `; in batches of ${sizes.length > 4 ? `${sizes[0]} to ${sizes.at(-1)}` : sizes.join(", ")}`,
  ];
  return make("p", "facts certificate", shownName(text.filter(Boolean).join(""), ""));
}

/**
 * Add what stands in a model's card only.
 * @param {Model} model
 * @param {Card} card
 */
function fill(model, card) {
  const place = state.places.get(model.name);
  if (!place) return;
  const agreement = Math.min(...card.certificate.checks.map((check) => check.agreement));
  const latency = latencyOf(card);
  /** @type {[string, string][]} */
  const facts = [
    ...(Number.isFinite(agreement) ? /** @type {[string, string][]} */ ([["Same answer as its source", `${(agreement * 100).toFixed(agreement < 1 ? 1 : 0)} %`]]) : []),
    ...(card.evaluation ?? []).slice(-4).map(({ metric, value, dataset }) => /** @type {[string, string]} */ (
      [`${metric} on ${shownName(dataset, "?")}`, value.toFixed(3)]
    )),
    ...(latency === null ? [] : /** @type {[string, string][]} */ ([["Latency (p50, one image)", milliseconds(latency)]])),
  ];
  figures(facts, place);
}

/** @param {number} count */
function short(count) {
  if (count < 1e6) return `${(count / 1e3).toFixed(count < 1e4 ? 1 : 0)} thousand`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} million` : `${(count / 1e9).toFixed(2)} billion`;
}
