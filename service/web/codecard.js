/** The request as something to take along: a curl command, or Python. */

import { byId } from "./elements.js";
import { say } from "./panels.js";

/** @typedef {"curl"|"python"} Language */

const SAID_FOR_MS = 1600;
/** @type {Record<Language, string>} */
let texts = { curl: "", python: "" };

/**
 * Show what does the same as the page.
 * @param {Record<Language, string>|null} given Null where nothing can.
 */
export function showCode(given) {
  byId("code-card").hidden = !given;
  if (!given) return;
  texts = given;
  write();
}

/** Let the reader choose, and copy. */
export function listenForCode() {
  for (const input of document.querySelectorAll("input[name=language]")) input.addEventListener("change", write);
  byId("copy").addEventListener("click", copy);
}

function write() {
  const chosen = /** @type {HTMLInputElement|null} */ (document.querySelector("input[name=language]:checked"));
  const language = chosen?.value === "python" ? "python" : "curl";
  byId("code").textContent = texts[language];
  byId("code").setAttribute("aria-label", language === "python" ? "Python code" : "curl command");
  byId("code-note").hidden = language !== "python";
}

/** Copy the text; where the browser forbids that, select it for the reader's own copying. */
async function copy() {
  try {
    await navigator.clipboard.writeText(byId("code").textContent);
    byId("copy").textContent = "Copied";
    say("Copied");
  } catch {
    getSelection()?.selectAllChildren(byId("code"));
    byId("copy").textContent = "Selected";
    say("Selected; copy it with the keyboard");
  }
  setTimeout(() => (byId("copy").textContent = "Copy"), SAID_FOR_MS);
}
