/** The request as a command for a terminal. */

import { mediaType, predictPath } from "./api.js";
import { videosPath, videoType } from "./videos.js";

/**
 * The curl command that sends the same file to the same model.
 * @param {import("./api.js").Asked} asked
 * @param {File|null} file Null before one is chosen.
 */
export function curlCommand(asked, file) {
  const address = new URL(predictPath(asked), document.baseURI).href;
  const type = file ? mediaType(file) : "image/jpeg";
  const lines = [
    `curl ${quote(address)}`,
    `-H ${quote(`Content-Type: ${type}`)}`,
    `--data-binary ${quote(`@${file?.name ?? "picture.jpg"}`)}`,
  ];
  return lines.join(" \\\n  ");
}

/**
 * The curl command that sends the same video; -T reads it piece by piece, where --data-binary would hold it in memory.
 * @param {string} task
 * @param {string} model
 * @param {Record<string, string>} options
 * @param {File} file
 */
export function videoCommand(task, model, options, file) {
  const address = new URL(videosPath(task, model, options), document.baseURI).href;
  const type = `Content-Type: ${videoType(file)}`;
  return [`curl -X POST ${quote(address)}`, `-H ${quote(type)}`, `-T ${quote(file.name)}`].join(" \\\n  ");
}

/**
 * A word as a POSIX shell takes it literally.
 * @param {string} word
 */
function quote(word) {
  return /^[\w@./:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
