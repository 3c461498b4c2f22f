/** The service's interface for whole videos: jobs that are sent, watched, read while they run, and ended. */

import { json, reach, requireGood, unreachable } from "./api.js";
import { heldKey } from "./key.js";

/**
 * @typedef {{
 *   id: string, state: "queued"|"running"|"done"|"failed"|"cancelled", progress: number|null,
 *   frames: {total: number|null, done: number, processed: number, carried: number}, fps: number|null,
 *   eta_s: number|null, summary: {model?: {name: string, version: string}, counts?: object, tracks?: number},
 *   problems: string[], error: {code: string, detail: string}|null, links: {annotated?: string}
 * }} JobStatus
 * @typedef {import("./api.js").Result & {frame: number, timestamp_s: number, carried?: boolean}} Line One frame's result.
 * @typedef {{line: Line, size: number}} SizedLine A line, and how many characters it was written in.
 */

/**
 * The address to which a video is sent, relative to the page.
 * @param {string} task
 * @param {string} model
 * @param {Record<string, string>} options How it is processed, and the task's own parameters.
 */
export function videosPath(task, model, options) {
  return `v1/videos?${new URLSearchParams({ task, model, ...options })}`;
}

/**
 * The address of a job, relative to the page.
 * @param {string} id
 * @param {string} [part] As in ``/results``.
 */
export function jobPath(id, part = "") {
  return `v1/videos/${encodeURIComponent(id)}${part}`;
}

/**
 * The type under which a video is sent; anything that is no video's would be read as something else than a file.
 * @param {File} file
 */
export function videoType(file) {
  return file.type.startsWith("video/") ? file.type : "application/octet-stream";
}

/**
 * Send a video as it is. Only XMLHttpRequest tells how far it is.
 * @param {string} path
 * @param {File} file
 * @param {(share: number) => void} progressed Told the share that has been sent, 0…1.
 * @param {AbortSignal} signal
 * @returns {Promise<JobStatus>} Of the job that it has become.
 */
export async function sendVideo(path, file, progressed, signal) {
  return json(await post(path, file, progressed, signal));
}

/**
 * @param {string} path
 * @param {File} file
 * @param {(share: number) => void} progressed
 * @param {AbortSignal} signal
 * @returns {Promise<Response>}
 */
function post(path, file, progressed, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.setRequestHeader("Content-Type", videoType(file));
    request.setRequestHeader("Content-Disposition", `attachment; filename="${headerText(file.name)}"`);
    request.setRequestHeader("Accept", "application/json");
    if (heldKey()) request.setRequestHeader("Authorization", `Bearer ${heldKey()}`);
    request.upload.addEventListener("progress", ({ loaded, total }) => progressed(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const headers = new Headers();
      for (const name of ["Content-Type", "X-Request-Id"]) headers.set(name, request.getResponseHeader(name) ?? "");
      const { status, statusText } = request;
      resolve(new Response(request.responseText, { status, statusText, headers }));
    });
    request.addEventListener("error", () => reject(unreachable()));
    request.addEventListener("abort", () => reject(signal.reason));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

/**
 * A file's name as a header can carry it.
 * @param {string} name
 */
function headerText(name) {
  return name.replace(/[^ !#-[\]-~]/g, "_");
}

/**
 * @param {string} id
 * @param {AbortSignal} signal
 * @returns {Promise<JobStatus>}
 */
export async function fetchJob(id, signal) {
  return json(await reach(jobPath(id), { signal }));
}

/**
 * End a job; what it has done is kept.
 * @param {string} id
 * @returns {Promise<JobStatus>}
 */
export async function cancelJob(id) {
  return json(await reach(jobPath(id, ":cancel"), { method: "POST" }));
}

/**
 * Remove a job and all that belongs to it.
 * @param {string} id
 */
export async function deleteJob(id) {
  await requireGood(await reach(jobPath(id), { method: "DELETE" }));
}

/**
 * Read a job's lines as they come, until there are no more.
 * @param {string} id
 * @param {number} fromFrame
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<SizedLine[]>} As many at a time as have come together.
 */
export async function* readLines(id, fromFrame, signal) {
  const response = await reach(jobPath(id, `/results?from_frame=${fromFrame}`), { signal });
  await requireGood(response);
  const body = /** @type {ReadableStream<any>} */ (response.body);
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const texts = (rest + (value ?? "")).split("\n");
      // What stands behind the last line break is a line only once its own has come.
      rest = texts.pop() ?? "";
      const lines = texts.filter(Boolean).map((text) => ({ line: JSON.parse(text), size: text.length }));
      if (lines.length) yield lines;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}
