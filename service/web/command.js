/** The request as a command for a terminal. */

import { mediaType, predictPath } from "./api.js";

/**
 * The curl command that sends the same file to the same model.
 * @param {string} task
 * @param {string} model
 * @param {File|null} file Null before one is chosen.
 */
export function curlCommand(task, model, file) {
  const address = new URL(predictPath(task, model), document.baseURI).href;
  const type = file ? mediaType(file) : "image/jpeg";
  const lines = [
    `curl ${quote(address)}`,
    `-H ${quote(`Content-Type: ${type}`)}`,
    `--data-binary ${quote(`@${file?.name ?? "picture.jpg"}`)}`,
  ];
  return lines.join(" \\\n  ");
}

/**
 * A word as a POSIX shell takes it literally.
 * @param {string} word
 */
function quote(word) {
  return /^[\w@./:-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
