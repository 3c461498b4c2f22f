/** The service's HTTP interface, as far as the page uses it. */

/**
 * @typedef {{passed: boolean, max_relative_error?: number|null, reference?: string, engine?: string}} Certificate
 * @typedef {{version: string, state: "ready"|"loading"|"failed", reason: string|null, certificate: Certificate|null}} Version
 * @typedef {{
 *   name: string, task: string, description: string, default: boolean, trained: boolean,
 *   supervision: "full"|"weak"|"none", licence: string, labels: number,
 *   versions: Version[], aliases: Record<string, string>
 * }} Model
 * @typedef {{x1: number, y1: number, x2: number, y2: number}} Box
 * @typedef {{format: "rle", size: [number, number], counts: string}} RleMask
 * @typedef {{format: "polygon", points: [number, number][][]}} PolygonMask
 * @typedef {{name: string, x: number, y: number, score: number}} Keypoint
 * @typedef {{format: "png"|"npy", data: string, min: number, max: number}} DenseMap
 * @typedef {{
 *   label?: string, index?: number, score?: number, box?: Box,
 *   mask?: RleMask|PolygonMask, polygon?: [number, number][], keypoints?: Keypoint[], track_id?: number
 * }} Finding One class, object, segment, region or person.
 * @typedef {{
 *   image: {width: number, height: number}, classes?: Finding[], objects?: Finding[], segments?: Finding[],
 *   regions?: Finding[], people?: Finding[], embedding?: number[], dimension?: number, map?: DenseMap, quantity?: string
 * }} Result
 * @typedef {{
 *   model: {name: string, version: string, alias?: string}, results: Result[],
 *   timings_ms: Record<string, number>, request_id: string
 * }} Answer
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
 * Send an image as it is and wait for the answer.
 * @param {string} task
 * @param {string} model
 * @param {Blob} image
 * @param {AbortSignal} signal
 * @returns {Promise<Answer>}
 */
export async function predict(task, model, image, signal) {
  const headers = { "Content-Type": mediaType(image), Accept: "application/json" };
  return json(await reach(predictPath(task, model), { method: "POST", body: image, headers, signal }));
}

/**
 * The address of a task, relative to the page.
 * @param {string} task
 * @param {string} model
 */
export function predictPath(task, model) {
  return `v1/${task}?model=${encodeURIComponent(model)}`;
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
    return await fetch(path, options);
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
