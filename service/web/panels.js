/** The panels beside the picture. All text from the service goes in as text, never as markup. */

import { Problem } from "./api.js";
import { percent } from "./findings.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./api.js").Model} Model */

const JSON_SHOWN = 20_000;
const STAGES = ["fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode"];

/**
 * The element with an id that the page is known to have.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element ${id}`);
  return element;
}

/**
 * Make an element.
 * @param {string} tag
 * @param {string} className
 * @param {...(Node|string)} children
 */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/**
 * A bar whose length the style sheet takes from ``--start`` and ``--length``, in shares of the whole.
 * @param {number} start
 * @param {number} length
 * @param {string} [colour]
 */
function bar(start, length, colour) {
  const element = make("span", "bar", make("span", "fill"));
  element.setAttribute("aria-hidden", "true");
  element.style.setProperty("--start", String(start));
  element.style.setProperty("--length", String(length));
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}

/**
 * The version that takes a model's requests.
 * @param {Model} model
 */
export function servedVersion(model) {
  const stable = model.aliases?.stable;
  return model.versions.find((version) => version.version === stable) ?? model.versions.at(-1) ?? null;
}

/**
 * Whether a model answers.
 * @param {Model} model
 */
export function isReady(model) {
  return servedVersion(model)?.state === "ready";
}

/**
 * Show what the card says about a model.
 * @param {Model|null} model
 * @param {string} absence What to say where there is none.
 */
export function showModel(model, absence) {
  const version = model && servedVersion(model);
  byId("model-name").textContent = model?.name ?? "No model";
  byId("model-version").textContent = version ? `version ${version.version}` : "";
  byId("model-description").textContent = model?.description ?? absence;
  byId("model-facts").textContent = [
    model?.labels && `${model.labels.toLocaleString("en")} labels`,
    model?.licence,
    version?.state !== "ready" && (version?.reason ?? version?.state),
  ].filter(Boolean).join(" · ");
  const badges = model ? badgesOf(model) : [];
  byId("badges").replaceChildren(...badges);
  byId("badges").hidden = !badges.length;
}

/**
 * What a reader must know before trusting an answer.
 * @param {Model} model
 */
function badgesOf(model) {
  const badges = [];
  if (!model.trained) badges.push(make("span", "badge warning", "untrained: answers mean nothing"));
  if (model.supervision === "weak") badges.push(make("span", "badge", "weakly supervised"));
  if (model.supervision === "none") badges.push(make("span", "badge", "not supervised"));
  if (servedVersion(model)?.certificate?.passed) badges.push(make("span", "badge good", "certified engine"));
  return badges;
}

/**
 * List findings, best first.
 * @param {NamedFinding[]} findings
 * @param {{choose: (finding: NamedFinding|null) => void}|null} listener Told which one a reader looks at; null where
 *     there is nothing to point out in the picture.
 */
export function showFindings(findings, listener) {
  const list = make("ol", "findings", ...findings.map((finding) => findingRow(finding, listener)));
  // Safari's screen reader takes a list without markers for none.
  list.setAttribute("role", "list");
  byId("answer").replaceChildren(...(findings.length ? [list] : []));
}

/**
 * @param {NamedFinding} finding
 * @param {{choose: (finding: NamedFinding|null) => void}|null} listener
 */
function findingRow(finding, listener) {
  const name = make("span", "name", finding.name);
  name.title = finding.name;
  const parts = [name, make("span", "score", percent(finding.score)), bar(0, finding.score ?? 1, finding.colour.fill)];
  if (!listener) return make("li", "", make("div", "finding", ...parts));
  const button = make("button", "finding", ...parts);
  button.setAttribute("type", "button");
  for (const event of ["pointerenter", "focus", "click"]) button.addEventListener(event, () => listener.choose(finding));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => listener.choose(null));
  return make("li", "", button);
}

/**
 * Show a vector as a strip of cells, the larger the value the stronger.
 * @param {number[]} vector
 * @param {number|null} similarity Cosine to the vector before, if there was one.
 */
export function showVector(vector, similarity) {
  const canvas = /** @type {HTMLCanvasElement} */ (make("canvas", "strip"));
  const columns = Math.ceil(Math.sqrt(vector.length * 5));
  canvas.width = columns;
  canvas.height = Math.ceil(vector.length / columns);
  const largest = Math.max(...vector.map(Math.abs)) || 1;
  const pixels = new ImageData(canvas.width, canvas.height);
  vector.forEach((value, i) => {
    const strength = Math.sqrt(Math.abs(value) / largest);
    pixels.data.set([...(value < 0 ? [224, 72, 98] : [84, 122, 246]), 255 * strength], 4 * i);
  });
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(pixels, 0, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `The vector's ${vector.length} values as a strip`);
  const start = vector.slice(0, 4).map((value) => value.toFixed(4)).join(", ");
  const lines = [canvas, make("p", "numbers", `[${start}, …]`)];
  if (similarity !== null) {
    lines.push(make("p", "similarity", make("strong", "", similarity.toFixed(3)), " cosine to the picture before"));
  }
  byId("answer").replaceChildren(...lines);
}

/**
 * Say in a sentence what the picture shows now.
 * @param {string} text
 */
export function showSentence(text) {
  byId("answer").replaceChildren(make("p", "facts", text));
}

/**
 * Show where a request's time went, each stage beginning where the last ended.
 * @param {Record<string, number>} timings In milliseconds.
 * @param {number} roundTrip As the browser saw it, in milliseconds.
 */
export function showTimings(timings, roundTrip) {
  const stages = STAGES.filter((stage) => timings[stage] !== undefined);
  const whole = stages.reduce((sum, stage) => sum + timings[stage], 0) || 1;
  let begun = 0;
  const rows = stages.map((stage) => {
    const row = make(
      "li", `stage ${stage}`, make("span", "name", stage), bar(begun / whole, timings[stage] / whole),
      make("span", "score", `${timings[stage].toFixed(timings[stage] < 10 ? 2 : 1)} ms`),
    );
    begun += timings[stage];
    return row;
  });
  byId("timings").replaceChildren(...rows);
  byId("total").textContent = `${timings.total.toFixed(1)} ms`;
  byId("round-trip").textContent = `${roundTrip.toFixed(0)} ms with the way from this browser and back`;
  byId("timings-card").hidden = false;
}

/**
 * Show a problem, or none.
 * @param {import("./api.js").Problem|null} problem
 */
export function showProblem(problem) {
  byId("problem").hidden = !problem;
  if (!problem) return;
  byId("problem-title").textContent = problem.title;
  byId("problem-detail").textContent = problem.detail;
  byId("problem-code").textContent = problem.code;
  byId("problem-request").textContent = problem.requestId && `request ${problem.requestId}`;
}

/**
 * Show what went wrong, whatever it is.
 * @param {unknown} error
 */
export function report(error) {
  const unforeseen = { title: "The page failed", detail: String(error), code: "page" };
  showProblem(error instanceof Problem ? error : new Problem(unforeseen));
  if (!(error instanceof Problem)) console.error(error);
}

/** Clear all that belongs to an answer. */
export function clearAnswer() {
  for (const id of ["threshold", "timings-card", "json-details"]) byId(id).hidden = true;
  byId("answer").replaceChildren();
  byId("count").textContent = "";
  wait("");
  showProblem(null);
}

/**
 * Say in the place of the answer why there is none.
 * @param {string} text
 */
export function wait(text) {
  byId("waiting").textContent = text;
  byId("waiting").hidden = !text;
}

/**
 * Tell those who hear the page rather than see it.
 * @param {string} text
 */
export function say(text) {
  byId("status").textContent = text;
}

/**
 * Say how many findings are shown.
 * @param {number} shown
 * @param {number} all
 * @param {string[]} noun One of them, and many.
 */
export function showCount(shown, all, [one, many]) {
  byId("count").textContent = shown === all ? `${all} ${all === 1 ? one : many}` : `${shown} of ${all} ${many}`;
}

/**
 * Write an answer out, if someone wants to read it.
 * @param {object|null} answer
 */
export function showJson(answer) {
  byId("json-details").hidden = !answer;
  if (!answer || !byId("json-details").open) return;
  const text = JSON.stringify(answer, null, 2);
  const cut = text.length > JSON_SHOWN;
  byId("json").textContent = cut ? `${text.slice(0, JSON_SHOWN)}\n… ${text.length - JSON_SHOWN} more characters` : text;
}

/**
 * Say what is shown.
 * @param {string} name
 * @param {string} facts
 * @param {boolean} [live] Whether it is the webcam's picture.
 */
export function showCaption(name, facts, live = false) {
  byId("caption").hidden = false;
  byId("webcam-instead").hidden = live;
  byId("file-name").textContent = name;
  byId("file-size").textContent = facts;
}

/** @param {number} bytes */
export function fileSize(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
