/** A task's result as a list of findings, the same for every task that has any. */

import { coloursOf } from "./colours.js";
import { shownName } from "./elements.js";

/**
 * @typedef {import("./api.js").Finding & {name: string, kind: string, colour: import("./colours.js").Glass}} NamedFinding
 *     ``kind``: its label as it can be shown; ``name``: the same with what tells it from others of its kind.
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
  { id: "explain", title: "Explain", noun: ["map", "maps"], nothing: "There is no map." },
];

/**
 * What a result has found, named and coloured.
 * @param {import("./api.js").Result} result
 * @returns {NamedFinding[]}
 */
export function findingsOf(result) {
  const findings = result.classes ?? result.objects ?? result.segments ?? result.regions ?? result.people ?? [];
  const colours = coloursOf(findings);
  const own = result.people ? "Person" : "Region";
  return findings.map((finding, i) => {
    const kind = kindOf(finding) ?? own;
    return { ...finding, kind, name: nameOf(finding, kind, i), colour: colours[i] };
  });
}

/**
 * A finding's label as it can be shown, if it has one.
 * @param {import("./api.js").Finding} finding
 */
function kindOf({ label, index }) {
  if (label === undefined) return undefined;
  return shownName(label, index === undefined ? "(no name)" : `(class ${index}, no name)`);
}

/**
 * Its kind; with the number of its track, or of its place in the list where kinds do not differ.
 * @param {import("./api.js").Finding} finding
 * @param {string} kind
 * @param {number} place
 */
function nameOf(finding, kind, place) {
  if (finding.track_id !== undefined) return `${kind} #${finding.track_id}`;
  return finding.label === undefined ? `${kind} ${place + 1}` : kind;
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
