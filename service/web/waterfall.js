/** Where a request's time went: in the service by its stages, and on the way there and back. */

import { bar, byId, make, milliseconds } from "./elements.js";

/** @typedef {import("./api.js").Times} Times */
/** @typedef {{name: string, begin: number, length: number}} Step In milliseconds. */

const STAGES = ["fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode"];
const MEANINGS = {
  network: "From the browser to the service and back, and what the browser itself takes",
  fetch: "The service receives the picture",
  decode: "The file becomes pixels",
  preprocess: "The picture gets the network's size",
  queue: "All waiting: for a thread, for a place in a batch, for the engine",
  compute: "The network",
  postprocess: "Its tensors become an answer",
  encode: "The answer becomes JSON",
  download: "The rest of the answer comes in, and is read",
};

/**
 * The steps of a request, each beginning where the last one ended.
 * @param {Times} times
 * @returns {Step[]} Their lengths add to what the browser measured, unless the clocks of both sides differ by more than
 *     the way takes.
 */
export function stepsOf({ stages, first, last }) {
  const way = { name: "network", length: Math.max(0, first - stages.total) };
  const inService = STAGES.filter((name) => stages[name] !== undefined).map((name) => ({ name, length: stages[name] }));
  let begin = 0;
  // Over a WebSocket an answer comes as a whole.
  const rest = last > first ? [{ name: "download", length: last - first }] : [];
  return [way, ...inService, ...rest].map((step) => {
    const placed = { ...step, begin };
    begin += step.length;
    return placed;
  });
}

/**
 * Show them.
 * @param {Times} times
 */
export function showTimings(times) {
  const steps = stepsOf(times);
  const whole = steps.reduce((sum, { length }) => sum + length, 0) || 1;
  byId("timings").replaceChildren(...steps.map((step) => rowOf(step, whole)));
  byId("total").textContent = milliseconds(times.stages.total);
  byId("round-trip").textContent = `${milliseconds(times.last)} with the way from this browser and back`;
  byId("timings-card").hidden = false;
}

/**
 * @param {Step} step
 * @param {number} whole
 */
function rowOf({ name, begin, length }, whole) {
  const title = make("span", "name", name);
  title.title = MEANINGS[name];
  const row = make(
    "li", `stage ${name}`, title, bar(begin / whole, length / whole), make("span", "score", milliseconds(length)),
  );
  row.dataset.ms = String(length);
  return row;
}

/**
 * Show two requests, stage by stage beside one another.
 * @param {{name: string, times: Times|null}[]} sides
 */
export function compareTimings(sides) {
  const known = sides.map(({ times }) => (times ? stepsOf(times) : []));
  const longest = Math.max(...known.flat().map(({ length }) => length), 0) || 1;
  const names = [...new Set(known.flat().map(({ name }) => name))];
  const rows = names.map((name) => {
    const pairs = known.map((steps, side) => {
      const length = steps.find((step) => step.name === name)?.length;
      const value = make("span", "score", length === undefined ? "—" : milliseconds(length));
      return make("div", `pair side-${side}`, bar(0, (length ?? 0) / longest), value);
    });
    const title = make("span", "name", name);
    title.title = MEANINGS[name];
    return make("li", `stage two ${name}`, title, make("div", "pairs", ...pairs));
  });
  byId("timings").replaceChildren(...rows);
  byId("total").textContent = sides.map(({ times }) => (times ? milliseconds(times.stages.total) : "—")).join(" · ");
  const trips = sides.map(({ times }) => (times ? milliseconds(times.last) : "no answer"));
  byId("round-trip").textContent = `${trips.join(" and ")} with the way from this browser and back; both were asked at once.`;
  byId("timings-card").hidden = !names.length;
}
