/** One picture, two versions or models: both are asked at once, and shown side by side with what differs. */

import { predict } from "./api.js";
import { showCode } from "./codecard.js";
import { curlCommand } from "./command.js";
import { byId } from "./elements.js";
import { differenceOf } from "./difference.js";
import { showDifference } from "./differencelist.js";
import { findingsOf } from "./findings.js";
import { findingAt, watchPointer } from "./hit.js";
import { loadPicture } from "./intake.js";
import { renderMap } from "./maps.js";
import { clearAnswer, fileSize, report, say, showCaption, showJson, wait } from "./panels.js";
import { taskParameters, typedParameters } from "./parameters.js";
import { comparingCode } from "./pythoncode.js";
import { clearSide, drawApart, drawSide, tellSide } from "./sides.js";
import { compareTimings } from "./waterfall.js";

/** @typedef {import("./api.js").Answer} Answer */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./difference.js").Difference} Difference */
/** @typedef {import("./playground.js").Choice} Choice */
/**
 * @typedef {{
 *   model: string, answer: Answer|null, times: import("./api.js").Times|null, problem: unknown,
 *   findings: NamedFinding[], shown: NamedFinding[], rendered: CanvasImageSource|null
 * }} Side What was asked, and what came of it.
 */

/** Exact depths are asked for up to so many pixels: they take eight times as many bytes as pictures of them. */
const EXACT_PIXELS = 2 ** 22;
/** Tasks whose answers have no place in the picture. */
const PLACELESS = new Set(["classify", "embed"]);

export class Comparison {
  /** @type {Choice} */ #choice;
  /** @type {File|null} */ #file = null;
  /** @type {HTMLImageElement|null} */ #picture = null;
  /** @type {Side[]} */ #sides = [];
  /** @type {Difference|null} */ #difference = null;
  /** @type {NamedFinding[]} One of each side at most. */ #chosen = [];
  /** @type {AbortController|null} */ #running = null;
  /** @type {((found: NamedFinding|null) => void)|null} */ #liftRow = null;

  /** @param {Choice} choice */
  constructor(choice) {
    this.#choice = choice;
    byId("again").addEventListener("click", () => this.run());
    for (const side of [0, 1]) {
      watchPointer(byId(`side-canvas-${side}`), (across, down) => this.#at(side, across, down), (found) => this.#point(found));
    }
  }

  /** @param {File} file */
  async take(file) {
    this.#file = file;
    byId("comparison").hidden = false;
    byId("frame").hidden = true;
    const picture = await loadPicture(file);
    if (this.#file !== file) return;
    this.#picture = picture;
    await this.run();
  }

  /** Ask both. */
  async run() {
    this.#stop();
    const { task, selector, rival } = this.#choice;
    const file = this.#file;
    const models = [selector, rival];
    this.#sides = models.map((model) => sideOf(model));
    this.#difference = null;
    this.#chosen = [];
    clearAnswer();
    this.#showCode(models);
    this.redraw();
    if (!file || !selector || !rival) return wait("Two versions or models are needed.");
    const running = new AbortController();
    this.#running = running;
    byId("comparison").setAttribute("aria-busy", "true");
    wait("Waiting for both answers…");
    say(`Comparing ${selector} and ${rival}`);
    await Promise.all(this.#sides.map((side) => this.#ask(side, task.id, file, running.signal)));
    if (this.#running !== running) return;
    this.#stop();
    await this.#compare();
  }

  /** Another task, version or rival. */
  choose() {
    this.run();
  }

  /** Other parameters. */
  change() {
    this.run();
  }

  /** Compare what is not filtered out. */
  refilter() {
    if (this.#running) return;
    return this.#compare();
  }

  /** Draw both pictures as large as the page allows. */
  redraw() {
    const { task } = this.#choice;
    const placeless = PLACELESS.has(task.id);
    this.#sides.forEach((side, place) => {
      tellSide(place, side, task.noun);
      if (placeless) clearSide(place);
      else drawSide(place, this.#picture, side, this.#difference, this.#chosen);
    });
    drawApart(this.#picture, this.#difference, placeless);
    const file = this.#file;
    if (!file) return;
    const { naturalWidth, naturalHeight } = this.#picture ?? {};
    const size = naturalWidth ? `${naturalWidth} × ${naturalHeight} · ` : "";
    showCaption(file.name || "pasted picture", `${size}${fileSize(file.size)}`);
  }

  /** Both answers. */
  answer() {
    const answers = this.#sides.map(({ answer }) => answer);
    return answers.some(Boolean) ? answers : null;
  }

  /** Make room for something else. */
  leave() {
    this.#stop();
    this.#file = null;
    this.#picture = null;
    this.#sides = [];
    this.#difference = null;
    byId("comparison").hidden = true;
    byId("frame").hidden = false;
    byId("answer-heading").textContent = "Answer";
    clearAnswer();
  }

  #stop() {
    this.#running?.abort();
    this.#running = null;
    byId("comparison").setAttribute("aria-busy", "false");
  }

  /**
   * @param {Side} side
   * @param {string} task
   * @param {File} file
   * @param {AbortSignal} signal
   */
  async #ask(side, task, file, signal) {
    try {
      const parameters = this.#parameters();
      const { answer, times } = await predict({ task, model: side.model, parameters }, file, signal);
      const [result] = answer.results;
      const rendered = result.map ? await renderMap(task, result.map, this.#picture) : null;
      Object.assign(side, { answer, times, rendered, findings: findingsOf(result) });
    } catch (problem) {
      side.problem = problem;
    }
    // Each is shown as it comes; the other may take its time, or fail.
    if (signal.aborted) return;
    this.#sift();
    this.#show();
  }

  #sift() {
    for (const side of this.#sides) side.shown = side.findings.filter((found) => this.#choice.filter.shows(found));
  }

  #show() {
    this.redraw();
    compareTimings(this.#sides.map(({ model, times }) => ({ name: model, times })));
    showJson(this.answer());
  }

  async #compare() {
    const { task } = this.#choice;
    const [first, second] = this.#sides;
    byId("answer-heading").textContent = "Difference";
    if (!first?.answer || !second?.answer) {
      const failed = this.#sides.filter(({ problem }) => problem).map(({ model }) => model);
      wait(failed.length ? `There is nothing to compare: ${failed.join(" and ")} gave no answer.` : "");
      byId("again").hidden = !failed.length;
      return this.#show();
    }
    const findings = [...first.findings, ...second.findings];
    byId("threshold").hidden = !findings.some(({ score }) => score !== undefined);
    this.#choice.offer(findings, task.id !== "classify");
    const sameModel = first.answer.model.name === second.answer.model.name;
    const sides = this.#sides;
    this.#sift();
    const [one, other] = [first, second].map(({ answer, shown }) => ({ result: /** @type {Answer} */ (answer).results[0], findings: shown }));
    try {
      const difference = await differenceOf(task.id, one, other, sameModel);
      if (sides !== this.#sides) return;
      this.#difference = difference;
    } catch (error) {
      if (sides !== this.#sides) return;
      return report(error);
    }
    wait("");
    this.#chosen = [];
    this.#liftRow = showDifference(this.#difference, (found) => this.#pointBoth(found));
    this.#show();
    say(`${byId("count").textContent}. ${this.#difference.text}`);
  }

  /**
   * @param {number} side
   * @param {number} across
   * @param {number} down In shares of the picture's size.
   */
  #at(side, across, down) {
    const { answer, shown, rendered } = this.#sides[side] ?? {};
    const image = answer?.results[0].image;
    return image && !rendered ? findingAt(shown, across * image.width, down * image.height) : null;
  }

  /** @param {NamedFinding|null} found In one of the pictures. */
  #point(found) {
    const pair = this.#difference?.matches?.pairs.find(({ first, second }) => first === found || second === found);
    this.#pointBoth(pair ? [pair.first, pair.second] : found ? [found] : []);
    this.#liftRow?.(found);
  }

  /** @param {NamedFinding[]} found In both pictures. */
  #pointBoth(found) {
    if (found.length === this.#chosen.length && found.every((one, i) => one === this.#chosen[i])) return;
    this.#chosen = found;
    this.redraw();
  }

  /** What is asked of both: masks and maps in the form that can be compared. */
  #parameters() {
    const { mask_format: _format, mask_crop: _crop, max_bytes: _bytes, encoding: _encoding, ...others } = taskParameters();
    const { naturalWidth: width, naturalHeight: height } = this.#picture ?? { naturalWidth: 0, naturalHeight: 0 };
    const exact = this.#choice.task.id === "depth" && width * height <= EXACT_PIXELS;
    return exact ? { ...others, encoding: "npy" } : others;
  }

  /** @param {string[]} models */
  #showCode(models) {
    const { task } = this.#choice;
    const name = this.#file?.name ?? "picture.jpg";
    const parameters = this.#parameters();
    const typed = Object.fromEntries(Object.entries({ ...typedParameters(), ...parameters }).filter(([key]) => key in parameters));
    const known = models.filter(Boolean);
    showCode(known.length < 2 ? null : {
      curl: known.map((model) => curlCommand({ task: task.id, model, parameters }, this.#file)).join("\n\n"),
      python: comparingCode(task.id, known, typed, name),
    });
  }
}

/**
 * @param {string} model
 * @returns {Side}
 */
function sideOf(model) {
  return { model, answer: null, times: null, problem: null, findings: [], shown: [], rendered: null };
}
