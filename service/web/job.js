/** A job that is followed to its end: its status again and again, and its lines as they come. */

import { Problem } from "./api.js";
import { fetchJob, readLines } from "./videos.js";

/** @typedef {import("./videos.js").JobStatus} JobStatus */
/** @typedef {import("./videos.js").SizedLine} SizedLine */

const ASK_EVERY_MS = 500;
/** A service that is restarted goes on with its jobs; so long it may be away. */
const TRIES = 10;
/** What the service, or a proxy before it, says while it is away. */
const AWAY = new Set(["unreachable", "502", "503", "504"]);
const FINAL = new Set(["done", "failed", "cancelled"]);

/**
 * Whether nothing more will happen in a job.
 * @param {JobStatus} status
 */
export function hasEnded(status) {
  return FINAL.has(status.state);
}

/**
 * Follow a job until it has ended.
 * @param {string} id
 * @param {(status: JobStatus) => void} changed
 * @param {AbortSignal} signal
 * @returns {Promise<void>} Rejected with a Problem where the service tells of none any more.
 */
export async function followStatus(id, changed, signal) {
  for (;;) {
    const status = await patiently(() => fetchJob(id, signal), signal);
    if (signal.aborted) return;
    changed(status);
    if (hasEnded(status)) return;
    await pause(ASK_EVERY_MS, signal);
  }
}

/**
 * Read a job's lines to the last.
 * @param {string} id
 * @param {() => number} next The frame from which on lines are wanted: asked anew where reading was broken off.
 * @param {(lines: SizedLine[]) => void} take
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export async function followLines(id, next, take, signal) {
  const read = async () => {
    for await (const lines of readLines(id, next(), signal)) {
      if (signal.aborted) return;
      take(lines);
    }
  };
  await patiently(read, signal);
}

/**
 * Try again for a while where the service gives no answer, or breaks one off.
 * @template T
 * @param {() => Promise<T>} ask
 * @param {AbortSignal} signal
 * @returns {Promise<T>}
 */
async function patiently(ask, signal) {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      // A body that breaks off is a TypeError.
      const passes = error instanceof TypeError || (error instanceof Problem && AWAY.has(error.code));
      if (signal.aborted || !passes || tries === TRIES) throw error;
      await pause(ASK_EVERY_MS * Math.min(tries, 6), signal);
    }
  }
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal Ends the pause, with its reason.
 * @returns {Promise<void>}
 */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const leave = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", leave);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", leave, { once: true });
  });
}
