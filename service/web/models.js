/** What is served: models, their versions, and the ways to name them. */

import { fetchCard } from "./api.js";
import { byId, grouped, make } from "./elements.js";

/** @typedef {import("./api.js").Model} Model */
/** @typedef {import("./api.js").Version} Version */
/** @typedef {import("./api.js").Card} Card */
/** @typedef {{suffix: string, text: string, ready: boolean}} Route A way to name a version of a model, behind its name. */

/** Cards that are asked for at a time. */
const AT_A_TIME = 4;
/** Output of a classifier that can say what made it say so. */
const HEAT = "heat";

/** @type {Map<string, Promise<Card|null>>} By ``name:version``. */
const cards = new Map();

/**
 * The version that takes a model's requests.
 * @param {Model} model
 */
export function servedVersion(model) {
  const stable = model.aliases?.stable;
  return model.versions.find((version) => version.version === stable) ?? model.versions.at(-1) ?? null;
}

/**
 * Whether a model answers.
 * @param {Model} model
 */
export function isReady(model) {
  return servedVersion(model)?.state === "ready";
}

/**
 * Whether more will be served in a moment: a service begins to answer before its models are loaded.
 * @param {Model[]} models
 */
export function areLoading(models) {
  return !models.length || models.some(({ versions }) => versions.some(({ state }) => state === "loading"));
}

/**
 * The version that is meant.
 * @param {Model} model
 * @param {string} suffix Nothing, ``@alias`` or ``:version``.
 */
export function versionOf(model, suffix) {
  if (!suffix) return servedVersion(model);
  const number = suffix.startsWith("@") ? model.aliases[suffix.slice(1)] : suffix.slice(1);
  return model.versions.find(({ version }) => version === number) ?? null;
}

/**
 * All ways to name a model's versions.
 * @param {Model} model
 * @returns {Route[]} The bare name first.
 */
export function routesOf(model) {
  const ready = (/** @type {string} */ number) => model.versions.find(({ version }) => version === number)?.state === "ready";
  const aliases = Object.entries(model.aliases ?? {}).map(([alias, number]) => ({
    suffix: `@${alias}`, text: `${alias} (version ${number})`, ready: ready(number),
  }));
  const numbers = [...model.versions].reverse().map((version) => ({
    suffix: `:${version.version}`, text: ["version " + version.version, ...traitsOf(version)].join(" · "), ready: version.state === "ready",
  }));
  return [{ suffix: "", text: "As the service chooses", ready: isReady(model) }, ...aliases, ...numbers];
}

/** @param {Version} version */
function traitsOf({ state, precision, certificate }) {
  return [precision, state !== "ready" ? state : certificate?.passed && "certified"].filter((trait) => typeof trait === "string");
}

/**
 * A version's card, asked for once.
 * @param {string} model
 * @param {string} version
 * @returns {Promise<Card|null>} Null where there is none that can be read.
 */
export function cardOf(model, version) {
  const key = `${model}:${version}`;
  const asked = cards.get(key) ?? fetchCard(model, version).catch(() => null);
  cards.set(key, asked);
  return asked;
}

/** Ask for all cards anew: versions come and go. */
export function forgetCards() {
  cards.clear();
}

/**
 * Do something for each of many, a few at a time.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => Promise<void>} work
 */
export async function forEachOf(items, work) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

/**
 * Those of the classifiers that can say what made them say so.
 * @param {Model[]} models
 * @returns {Promise<Model[]>}
 */
export async function explainers(models) {
  /** @type {Set<Model>} */
  const found = new Set();
  await forEachOf(models.filter(({ task }) => task === "classify"), async (model) => {
    const version = servedVersion(model);
    const card = version && (await cardOf(model.name, version.version));
    if (card?.outputs.some(({ name }) => name === HEAT)) found.add(model);
  });
  return models.filter((model) => found.has(model));
}

/**
 * Show what the card says about a model.
 * @param {Model|null} model
 * @param {string} suffix Which of its versions is chosen.
 * @param {string} absence What to say where there is none.
 */
export function showModel(model, suffix, absence) {
  const version = model && versionOf(model, suffix);
  byId("model-name").textContent = model?.name ?? "No model";
  byId("model-version").textContent = version ? `version ${version.version}` : "";
  byId("model-description").textContent = model?.description ?? absence;
  byId("model-facts").textContent = model ? factsOf(model, version).join(" · ") : "";
  const badges = model ? badgesOf(model, version) : [];
  byId("badges").replaceChildren(...badges);
  byId("badges").hidden = !badges.length;
}

/**
 * @param {Model} model
 * @param {Version|null} version
 */
function factsOf(model, version) {
  return [
    model.labels && `${grouped(model.labels)} labels`,
    model.licence,
    version?.state !== "ready" && (version?.reason ?? version?.state),
  ].filter((fact) => typeof fact === "string");
}

/**
 * What a reader must know before trusting an answer.
 * @param {Model} model
 * @param {Version|null} version
 */
export function badgesOf(model, version) {
  const badges = [];
  if (!model.trained) badges.push(make("span", "badge warning", "untrained: answers mean nothing"));
  if (model.supervision === "weak") badges.push(make("span", "badge", "weakly supervised"));
  if (model.supervision === "none") badges.push(make("span", "badge", "not supervised"));
  if (version?.certificate?.passed) badges.push(make("span", "badge good", "certified engine"));
  return badges;
}
