/** The service's HTTP interface, as far as the page uses it. */

import { fetchWithKey } from "./key.js";

/**
 * @typedef {{
 *   passed: boolean, max_relative_error: number|null, batch_sizes: number[], reference: string, engine: string,
 *   verified_at: string
 * }} Certificate
 * @typedef {{
 *   version: string, state: "ready"|"loading"|"unreachable"|"failed"|"unloaded", reason: string|null,
 *   precision: string|null, memory_bytes: number|null, certificate: Certificate|null
 * }} Version
 * @typedef {{
 *   name: string, task: string, description: string, default: boolean, trained: boolean,
 *   supervision: "full"|"weak"|"none", notes: string[], licence: string, source: string, labels: number,
 *   input: {height: number, width: number}, parameters: number, gmacs: number|null,
 *   versions: Version[], aliases: Record<string, string>
 * }} Model
 * @typedef {{metric: string, value: number, dataset: string, images: number}} Evaluation
 * @typedef {{batch_size: number, callers: number, threads: number, latency_p50_ms: number, images_per_second: number}} Measurement
 * @typedef {{
 *   outputs: {name: string}[], evaluation?: Evaluation[], tuning?: {machine: string, measurements: Measurement[]}|null,
 *   certificate: {passed: boolean, checks: {batch_size: number, inputs: string, max_relative_error: number, agreement: number, passed: boolean}[]}
 * }} Card What the page reads of a version's card.
 * @typedef {{x1: number, y1: number, x2: number, y2: number}} Box
 * @typedef {{format: "rle", size: [number, number], counts: string, origin?: [number, number]}} RleMask
 * @typedef {{format: "polygon", points: [number, number][][]}} PolygonMask
 * @typedef {{format: "png", data: string, origin?: [number, number]}} PngMask
 * @typedef {{format: "palette", value: number}} PaletteMask
 * @typedef {{format: "bits", size: [number, number], data: string, origin?: [number, number]}} BitsMask
 * @typedef {RleMask|PolygonMask|PngMask|PaletteMask|BitsMask} Mask
 * @typedef {{name: string, x: number, y: number, score: number}} Keypoint
 * @typedef {{format: "png"|"npy", data: string, min: number, max: number}} DenseMap
 * @typedef {{
 *   label?: string, index?: number, score?: number, box?: Box,
 *   area?: number, mask?: Mask, polygon?: [number, number][], keypoints?: Keypoint[], track_id?: number
 * }} Finding One class, object, segment, region or person.
 * @typedef {{
 *   image: {width: number, height: number}, classes?: Finding[], objects?: Finding[], segments?: Finding[],
 *   regions?: Finding[], people?: Finding[], palette?: {data: string}, embedding?: number[]|string, dimension?: number,
 *   map?: DenseMap, quantity?: string, class?: {label: string, index: number, score: number}, method?: string
 * }} Result
 * @typedef {{
 *   model: {name: string, version: string, alias?: string}, results: Result[],
 *   timings_ms: Record<string, number>, request_id: string
 * }} Answer
 * @typedef {{stages: Record<string, number>, first: number, last: number}} Times In milliseconds: what the service says
 *     of its stages, and when the first and the last byte of its answer were here.
 */

/** An error as the service tells it (RFC 9457), or the lack of any answer in the same form. */
export class Problem extends Error {
  /** @param {{title: string, detail: string, code: string, request_id?: string}} document */
  constructor(document) {
    super(document.detail);
    this.title = document.title;
    this.detail = document.detail;
    this.code = document.code;
    this.requestId = document.request_id ?? "";
  }
}

/**
 * The models that are served; those without a readable card have no task and are left out.
 * @returns {Promise<Model[]>}
 */
export async function fetchModels() {
  const { models } = await json(await reach("v1/models", {}));
  return models.filter((/** @type {Model} */ model) => model.task);
}

/**
 * A version's card; null where it cannot be read.
 * @param {string} model
 * @param {string} version
 * @returns {Promise<Card|null>}
 */
export async function fetchCard(model, version) {
  const path = `v1/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}`;
  return (await json(await reach(path, {}))).card;
}

/**
 * Send an image as it is and wait for the answer.
 * @param {Asked} asked
 * @param {Blob} image
 * @param {AbortSignal} signal
 * @returns {Promise<{answer: Answer, times: Times}>}
 */
export async function predict(asked, image, signal) {
  const headers = { "Content-Type": mediaType(image), Accept: "application/json" };
  const begun = performance.now();
  const response = await reach(predictPath(asked), { method: "POST", body: image, headers, signal });
  const first = performance.now() - begun;
  const answer = await json(response);
  const stages = stagesOf(response.headers.get("Server-Timing")) ?? answer.timings_ms;
  return { answer, times: { stages, first, last: performance.now() - begun } };
}

/** @typedef {{task: string, model: string, parameters: Record<string, string>}} Asked What is asked of which model:
 *     ``model`` is name, name@alias or name:version. */

/**
 * The address of a task, relative to the page.
 * @param {Asked} asked
 */
export function predictPath({ task, model, parameters }) {
  // A query may have both as they are, and so a command is easier to read.
  const query = String(new URLSearchParams({ model, ...parameters })).replaceAll("%3A", ":").replaceAll("%40", "@");
  return `v1/${task}?${query}`;
}

/**
 * Milliseconds by stage, as the header tells them.
 * @param {string|null} header As in ``decode;dur=1.5, queue;dur=0.1``.
 * @returns {Record<string, number>|null} With their sum as ``total``; null where it tells nothing.
 */
function stagesOf(header) {
  const found = [...(header ?? "").matchAll(/([a-z]+);dur=([\d.]+)/g)].map(([, stage, time]) => [stage, Number(time)]);
  if (!found.length) return null;
  const stages = Object.fromEntries(found);
  return { ...stages, total: found.reduce((sum, [, time]) => sum + Number(time), 0) };
}

/**
 * The type under which a file is sent.
 * @param {Blob} image
 */
export function mediaType(image) {
  return image.type || "application/octet-stream";
}

/**
 * Fetch, and tell of a service that cannot be reached as of any other problem.
 * @param {string} path
 * @param {RequestInit} options
 */
export async function reach(path, options) {
  try {
    return await fetchWithKey(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw unreachable();
  }
}

/** The problem of a service that gives no answer at all. */
export function unreachable() {
  return new Problem({
    title: "No answer",
    detail: "The service cannot be reached, or it closed the connection. Is it still running?",
    code: "unreachable",
  });
}

/**
 * The JSON of a good response; Problem for any other.
 * @param {Response} response
 */
export async function json(response) {
  const content = await contentOf(response);
  if (response.ok && content) return content;
  throw problemOf(response, content);
}

/**
 * Problem for a response that is not good; its content is left for the caller otherwise.
 * @param {Response} response
 */
export async function requireGood(response) {
  if (!response.ok) throw problemOf(response, await contentOf(response));
}

/** @param {Response} response */
async function contentOf(response) {
  const isJson = /\bjson\b/.test(response.headers.get("Content-Type") ?? "");
  return isJson ? response.json() : null;
}

/**
 * @param {Response} response
 * @param {any} content Null where it is no JSON.
 */
function problemOf(response, content) {
  return new Problem({
    title: content?.title ?? `Status ${response.status}`,
    detail: content?.detail ?? `The service answered ${response.status} ${response.statusText} without saying why.`,
    code: content?.code ?? String(response.status),
    request_id: content?.request_id ?? response.headers.get("X-Request-Id") ?? "",
  });
}
