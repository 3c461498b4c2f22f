/** A task's result as a list of findings, the same for every task that has any. */

import { coloursOf } from "./colours.js";

/**
 * @typedef {import("./api.js").Finding & {name: string, colour: import("./colours.js").Glass}} NamedFinding
 */

/** The tasks that the page knows, in the order of their buttons. */
export const TASKS = [
  { id: "classify", title: "Classify", noun: ["class", "classes"], nothing: "No class reached the threshold." },
  { id: "detect", title: "Detect", noun: ["object", "objects"], nothing: "Nothing was found in this picture." },
  { id: "segment", title: "Segment", noun: ["segment", "segments"], nothing: "Nothing was found in this picture." },
  { id: "embed", title: "Embed", noun: ["vector", "vectors"], nothing: "The vector is empty." },
  { id: "regions", title: "Regions", noun: ["region", "regions"], nothing: "No region was found in this picture." },
  { id: "depth", title: "Depth", noun: ["map", "maps"], nothing: "There is no map." },
  { id: "matte", title: "Matte", noun: ["matte", "mattes"], nothing: "There is no matte." },
  { id: "keypoints", title: "Keypoints", noun: ["person", "people"], nothing: "Nobody was found in this picture." },
  { id: "restore", title: "Restore", noun: ["picture", "pictures"], nothing: "There is no picture." },
];

/**
 * What a result has found, named and coloured.
 * @param {import("./api.js").Result} result
 * @returns {NamedFinding[]}
 */
export function findingsOf(result) {
  const findings = result.classes ?? result.objects ?? result.segments ?? result.regions ?? result.people ?? [];
  const colours = coloursOf(findings);
  return findings.map((finding, i) => ({
    ...finding,
    name: nameOf(finding, result.people ? "Person" : "Region", i),
    colour: colours[i],
  }));
}

/**
 * Its label, or what it is; with the number of its track, or of its place in the list.
 * @param {import("./api.js").Finding} finding
 * @param {string} kind What it is where it has no label.
 * @param {number} place
 */
function nameOf(finding, kind, place) {
  if (finding.track_id !== undefined) return `${finding.label ?? kind} #${finding.track_id}`;
  return finding.label ?? `${kind} ${place + 1}`;
}

/**
 * Whether a finding reaches the threshold; one without a score always does.
 * @param {NamedFinding} finding
 * @param {number} threshold
 */
export function reaches(finding, threshold) {
  return finding.score === undefined || finding.score >= threshold;
}

/**
 * A score as a percentage.
 * @param {number|undefined} score
 */
export function percent(score) {
  if (score === undefined) return "";
  const value = score * 100;
  return `${value.toFixed(value > 0 && value < 9.95 ? 1 : 0)} %`;
}
