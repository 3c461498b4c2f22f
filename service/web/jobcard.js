/** How far a video's job is, in words and as a bar. */

import { byId } from "./elements.js";
import { downloadWithKey } from "./key.js";
import { jobPath } from "./videos.js";

/** @typedef {import("./videos.js").JobStatus} JobStatus */

const STATES = {
  queued: "Waiting for its turn", running: "Running", done: "Done", failed: "Failed", cancelled: "Cancelled",
};

/**
 * Show the way of a file to the service.
 * @param {number} share 0…1
 */
export function showUpload(share) {
  byId("job").hidden = false;
  byId("job-state").textContent = share < 1 ? "Uploading" : "Being looked at";
  byId("job-share").textContent = share < 1 ? `${Math.floor(share * 100)} %` : "";
  showBar(share < 1 ? share : null);
  byId("job-facts").textContent = "";
  showProblems([]);
  byId("cancel").hidden = false;
  for (const id of ["delete", "results-link", "annotated-link"]) byId(id).hidden = true;
}

/**
 * Show a job.
 * @param {JobStatus} status
 * @param {string} name Of the file, for what is downloaded.
 */
export function showJob(status, name) {
  const going = status.state === "queued" || status.state === "running";
  byId("job").hidden = false;
  byId("job").dataset.state = status.state;
  byId("job-state").textContent = STATES[status.state] ?? status.state;
  const share = status.state === "done" ? 1 : status.progress;
  byId("job-share").textContent = share === null ? "" : `${Math.floor(share * 100)} %`;
  showBar(share);
  byId("job-facts").textContent = factsOf(status, going).join(" · ");
  showProblems([...(status.error ? [`${status.error.detail} (${status.error.code})`] : []), ...status.problems]);
  byId("cancel").hidden = !going;
  byId("delete").hidden = going;
  const stem = name.replace(/\.[^.]*$/, "") || "video";
  offer("results-link", jobPath(status.id, "/results"), `${stem}.ndjson`, true);
  offer("annotated-link", jobPath(status.id, "/annotated.mp4"), `${stem}_annotated.mp4`, hasAnnotated(status));
}

/**
 * Whether there is a video with the findings drawn in.
 * @param {JobStatus} status
 */
export function hasAnnotated(status) {
  return Boolean(status.links.annotated) && status.state === "done";
}

/** Show that there is no job. */
export function hideJob() {
  byId("job").hidden = true;
  byId("job").dataset.state = "";
}

/**
 * @param {JobStatus} status
 * @param {boolean} going
 */
function factsOf({ frames, fps, eta_s: eta, summary }, going) {
  const number = (/** @type {number} */ value) => value.toLocaleString("en");
  return [
    `${number(frames.done)}${frames.total === null ? "" : ` of ${number(frames.total)}`} frames`,
    frames.processed !== frames.done && `${number(frames.processed)} processed`,
    frames.carried && `${number(frames.carried)} carried`,
    going && fps !== null && `${fps.toFixed(1)} frames/s`,
    going && eta !== null && `${duration(eta)} to go`,
    summary.tracks !== undefined && `${number(summary.tracks)} ${summary.tracks === 1 ? "track" : "tracks"}`,
  ].filter((fact) => typeof fact === "string");
}

/**
 * @param {number} seconds
 */
function duration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number|null} share Null where it is not known. */
function showBar(share) {
  if (share === null) byId("job-progress").removeAttribute("value");
  else byId("job-progress").value = share;
}

/** @param {string[]} sentences */
function showProblems(sentences) {
  const rows = sentences.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence }));
  byId("job-problems").replaceChildren(...rows);
  byId("job-problems").hidden = !rows.length;
}

/**
 * @param {string} id Of the link.
 * @param {string} address
 * @param {string} file
 * @param {boolean} there
 */
function offer(id, address, file, there) {
  Object.assign(byId(id), { href: address, download: file, hidden: !there });
}

for (const id of ["results-link", "annotated-link"]) downloadWithKey(byId(id));
