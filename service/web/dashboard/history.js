/** What the service remembers of its last hour: ``GET v1/history``, and the models that it names. */

import { fetchWithKey } from "../key.js";

/**
 * @typedef {(number|null)[]} Row One figure a point; null where there is none.
 * @typedef {{mean: number, p50: number, p95: number, p99: number}} Spread In milliseconds.
 * @typedef {{
 *   task: string, model: string, version: string, aliases: string[], share: number, requests: number, images: number,
 *   errors: number, p50_ms: number|null, p95_ms: number|null, p99_ms: number|null,
 *   batch: {mean: number|null, sizes: Record<string, number>}, queue_depth: number, ready: boolean
 * }} VersionFigures
 * @typedef {{
 *   now: number, window_s: number, step_s: number, times: number[],
 *   requests: {rate: Row, errors: Row, refused: Row, images: Row},
 *   latency: {p50_ms: Row, p95_ms: Row, p99_ms: Row},
 *   stages: Record<string, Row>,
 *   window: {
 *     requests: number, images: number, errors: number, refused: number,
 *     total_ms: (Spread & {max: number})|null, stages_ms: Record<string, Spread>|null,
 *     codes: Record<string, number>, reasons: Record<string, number>, transports: Record<string, number>,
 *     tasks: Record<string, number>
 *   },
 *   versions: VersionFigures[],
 *   gauges: {
 *     in_flight: Row, in_flight_limit: number, queue_depth: Row, event_loop_lag_ms: Row, memory_bytes: Row, cpu: Row
 *   },
 *   video: {
 *     jobs_running: number, jobs_waiting: number, streams: number,
 *     frames: {processed: Row, carried: Row, dropped: Row}, lag_ms: {p50: Row, p99: Row}
 *   }
 * }} History
 * @typedef {{
 *   name: string, task: string|null, default: boolean, versions: {version: string, state: string}[]
 * }} ServedModel
 * @typedef {import("./choice.js").Choice} Choice
 */

/** Screens on which points lie too close for so many. */
const NARROW = matchMedia("(max-width: 640px)");
/** The stages of a request, in their order. */
export const STAGES = ["fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode"];

/**
 * The history that is asked for.
 * @param {Choice} choice
 * @param {AbortSignal} signal
 * @returns {Promise<History>}
 */
export async function fetchHistory({ span, task, model, version }, signal) {
  const points = NARROW.matches ? span.points / 2 : span.points;
  const query = new URLSearchParams({ window_s: String(span.seconds), points: String(points) });
  for (const [name, value] of Object.entries({ task, model, version })) {
    if (value) query.set(name, value);
  }
  return fetchJson(`v1/history?${query}`, signal);
}

/**
 * The models that are served, for the choice among them.
 * @param {AbortSignal} signal
 * @returns {Promise<ServedModel[]>}
 */
export async function fetchServed(signal) {
  const { models } = await fetchJson("v1/models", signal);
  return models.filter((/** @type {ServedModel} */ model) => model.task);
}

/** The service answers, but not this. */
export class Refusal extends Error {}

/**
 * @param {string} path Relative to the page: a proxy may serve it below another path.
 * @param {AbortSignal} signal
 */
async function fetchJson(path, signal) {
  const response = await fetchWithKey(path, { signal, headers: { Accept: "application/json" }, cache: "no-store" });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => null);
  throw new Refusal(`It answered with status ${response.status}${problem?.detail ? `: ${problem.detail}` : ""}.`);
}
