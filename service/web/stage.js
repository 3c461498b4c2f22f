/** A moving picture with its newest result upon it, and the list of what that has found beside it. */

import { drawOver } from "./draw.js";
import { byId, grouped } from "./elements.js";
import { liftFinding, showFindings } from "./findinglist.js";
import { findingsOf } from "./findings.js";
import { findingAt, watchPointer } from "./hit.js";
import { describeMap, renderMap } from "./maps.js";
import { readPictures } from "./maskpixels.js";
import { showCount, showJson, showSentence, showVector, wait } from "./panels.js";
import { vectorOf } from "./vectors.js";

/** @typedef {import("./api.js").Result} Result */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {import("./playground.js").Choice} Choice */
/** @typedef {import("./playground.js").TaskChoice} TaskChoice */

/** The list is for reading, which nobody does faster. */
const LIST_EVERY_MS = 200;

export class Stage {
  /** @type {Choice} */ #choice;
  /** @type {TaskChoice} What was asked for; the page's choice may be another by now. */ #task;
  /** @type {Result|null} */ #result = null;
  /** @type {NamedFinding[]} */ #findings = [];
  /** @type {NamedFinding[]} Those that are not filtered out. */ #shown = [];
  /** @type {NamedFinding|null} */ #chosen = null;
  /** @type {CanvasImageSource|null} The result's map. */ #cover = null;
  #rendering = false;
  #listed = 0;
  #listing = 0;
  #scored = false;
  /** Whether the picture has the findings drawn in already. */
  bare = false;

  /** @param {Choice} choice */
  constructor(choice) {
    this.#choice = choice;
    this.#task = choice.task;
    watchPointer(byId("stage"), (across, down) => this.#at(across, down), (finding) => this.#choose(finding));
  }

  /** The element that plays.
   * @returns {HTMLVideoElement} */
  get video() {
    return byId("film");
  }

  /** The result that is shown. */
  get result() {
    return this.#result;
  }

  /**
   * Make the stage ready for results of a task.
   * @param {TaskChoice} task
   */
  open(task) {
    this.#task = task;
    this.#scored = false;
    this.#choice.forgetLabels();
    byId("stage").hidden = false;
    Object.assign(byId("stage").style, { width: "", height: "" });
    this.clear();
  }

  /** Take everything off, and leave. */
  close() {
    this.clear();
    this.note("");
    byId("stage").hidden = true;
  }

  /** Show no result. */
  clear() {
    clearTimeout(this.#listing);
    Object.assign(byId("overlay").dataset, { frame: "", shown: "0", tracks: "" });
    this.#result = null;
    this.#findings = [];
    this.#shown = [];
    this.#chosen = null;
    this.#cover = null;
    this.draw();
    byId("answer").replaceChildren();
    byId("count").textContent = "";
  }

  /**
   * Say something over the picture.
   * @param {string} text
   */
  note(text) {
    if (byId("stage-note").textContent !== text) byId("stage-note").textContent = text;
    byId("stage-note").hidden = !text;
  }

  /**
   * Show a result, from now on.
   * @param {Result} result
   * @param {number} frame Its number.
   */
  show(result, frame) {
    this.#result = result;
    this.#chosen = null;
    // Masks are painted once and kept with themselves; those of a frame that has passed are not wanted again.
    this.#findings = findingsOf(result).map((found) => (found.mask ? { ...found, mask: { ...found.mask } } : found));
    this.#filter();
    if (this.#task.id !== "classify") this.#choice.offerMore(this.#findings);
    this.#readPictures(result);
    this.#scored ||= this.#findings.some((finding) => finding.score !== undefined);
    byId("threshold").hidden = !this.#scored;
    byId("overlay").dataset.frame = String(frame);
    if (result.map) this.#layMap();
    else this.#cover = null;
    this.draw();
    this.#listSoon();
  }

  /** Draw and list again, by another filter. */
  refilter() {
    this.#filter();
    this.draw();
    this.#list();
  }

  /** Size the picture to the page, and draw what was found. */
  draw() {
    const { video } = this;
    const size = video.videoWidth ? { width: video.videoWidth, height: video.videoHeight } : this.#result?.image;
    byId("overlay").hidden = !size;
    if (!size) return;
    const room = { width: byId("frame").clientWidth, height: Math.max(280, window.innerHeight * 0.72) };
    const fit = Math.min(room.width / size.width, room.height / size.height);
    const box = { width: Math.floor(size.width * fit), height: Math.floor(size.height * fit) };
    Object.assign(byId("stage").style, { width: `${box.width}px`, height: `${box.height}px` });
    const overlay = byId("overlay");
    const found = this.#shown;
    drawOver(overlay, box, this.#result?.image ?? size, this.bare ? null : this.#cover, this.bare ? [] : found, this.#chosen);
    // Pixels that are not square: the browser stretches the picture, and so is what lies upon it.
    Object.assign(overlay.style, { width: "100%", height: "100%" });
    const tracks = found.map((finding) => finding.track_id).filter((track) => track !== undefined);
    Object.assign(overlay.dataset, { shown: String(found.length), tracks: tracks.join(" ") });
  }

  #filter() {
    this.#shown = this.#findings.filter((finding) => this.#choice.filter.shows(finding));
  }

  /**
   * Masks that are pictures can be drawn as soon as they are decoded.
   * @param {Result} result
   */
  async #readPictures(result) {
    if ((await readPictures(this.#findings, result.palette)) && this.#result === result) this.draw();
  }

  /**
   * What lies at a place, where the picture stands still.
   * @param {number} across
   * @param {number} down In shares of the picture's size.
   */
  #at(across, down) {
    const image = this.video.paused && !this.bare ? this.#result?.image : undefined;
    return image ? findingAt(this.#shown, across * image.width, down * image.height) : null;
  }

  /** Lay the result's map over the picture, as soon as it is decoded; those that come meanwhile are passed over. */
  async #layMap() {
    if (this.#rendering) return;
    this.#rendering = true;
    const picture = this.video.videoWidth ? this.video : null;
    let laid = null;
    while (this.#result?.map && this.#result !== laid) {
      laid = this.#result;
      this.#cover = await renderMap(this.#task.id, /** @type {any} */ (laid.map), picture);
      if (this.#result?.map) this.draw();
    }
    this.#rendering = false;
  }

  #listSoon() {
    const due = this.#listed + LIST_EVERY_MS - performance.now();
    clearTimeout(this.#listing);
    if (due <= 0) this.#list();
    else this.#listing = window.setTimeout(() => this.#list(), due);
  }

  #list() {
    this.#listed = performance.now();
    const result = this.#result;
    if (!result) return;
    showJson(result);
    wait("");
    if (result.embedding) return this.#listVector(result.embedding);
    if (result.map) return showSentence(describeMap(this.#task.id, result, result.image));
    const shown = this.#shown;
    showCount(shown.length, this.#findings.length, this.#task.noun);
    // Rows that are replaced several times a second can be neither pointed at nor stepped through.
    const still = this.video.paused && this.#task.id !== "classify";
    showFindings(shown, this.#task.noun[1], still ? (finding) => this.#choose(finding) : null);
    wait(shown.length ? "" : this.#findings.length ? this.#choice.filter.reason : this.#task.nothing);
  }

  /** @param {number[]|string} embedding */
  #listVector(embedding) {
    const vector = vectorOf(embedding);
    showVector(vector, null);
    byId("count").textContent = `${grouped(vector.length)} numbers`;
  }

  /** @param {NamedFinding|null} finding */
  #choose(finding) {
    if (this.#chosen === finding) return;
    this.#chosen = finding;
    liftFinding(finding);
    this.draw();
  }
}
