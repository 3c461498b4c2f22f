/** What stands there while there is nothing to show: how a first request is sent. */

import { byId } from "../elements.js";
import { isFiltered } from "./choice.js";
import { write } from "./fill.js";

/** @typedef {import("./choice.js").Choice} Choice */
/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").ServedModel} ServedModel */

/** Tasks whose request is not one image. */
const NOT_AN_IMAGE = ["classify-video"];

/**
 * Show the way to a first request, or nothing where there were requests.
 * @param {History} history
 * @param {Choice} choice
 * @param {ServedModel[]|null} served Null while it is not known.
 */
export function showEmptiness(history, choice, served) {
  const empty = !history.window.requests;
  document.body.classList.toggle("quiet-window", empty);
  byId("empty").hidden = !empty;
  if (!empty) return;
  const model = isFiltered(choice) || !served ? null : firstOf(served);
  write(byId("empty-heading"), isFiltered(choice) ? "Nothing here in this window" : "No requests in this window");
  write(byId("empty-advice"), adviceOf(choice, served, model));
  byId("empty-command").hidden = !model;
  if (model) write(byId("empty-command"), commandFor(model));
}

/** @param {ServedModel[]} served */
function firstOf(served) {
  const asked = served.filter(({ task }) => !NOT_AN_IMAGE.includes(task ?? ""));
  const ready = asked.filter(({ versions }) => versions.some(({ state }) => state === "ready"));
  return ready.find((model) => model.default) ?? ready[0] ?? null;
}

/**
 * @param {Choice} choice
 * @param {ServedModel[]|null} served
 * @param {ServedModel|null} model
 */
function adviceOf(choice, served, model) {
  if (isFiltered(choice)) return "Choose a longer window, or show all. Requests that were refused belong to no model.";
  if (model) return "Send one, and this page comes alive by itself. The playground is the quickest way to it.";
  if (served?.length) return "No model is ready yet. As soon as one is, send it an image from the playground.";
  return served ? "The service has no model yet; vitrail-build makes one." : "Send one from the playground.";
}

/**
 * A request of an image to a model, for a POSIX shell.
 * @param {ServedModel} model
 */
function commandFor({ task, name }) {
  // What encodeURIComponent leaves and a quote of the shell does not.
  const model = encodeURIComponent(name).replaceAll("'", "%27");
  const address = new URL(`v1/${task}?model=${model}`, document.baseURI).href;
  return ["curl -H 'Content-Type: image/jpeg'", "--data-binary @photo.jpg", `'${address}'`].join(" \\\n  ");
}
