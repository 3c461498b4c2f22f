/** The webcam: its newest frames go to the service, and the answers are drawn over the live picture. */

import { cameraProblem, closeCamera, grabFrame, openCamera } from "./camera.js";
import { showCode } from "./codecard.js";
import { byId } from "./elements.js";
import { watchFrames } from "./frames.js";
import { FrameStream } from "./framestream.js";
import { clearAnswer, report, say, showCaption, showProblem, wait } from "./panels.js";
import { taskParameters } from "./parameters.js";
import { showTimings } from "./waterfall.js";

/** @typedef {import("./playground.js").Choice} Choice */
/** @typedef {import("./framestream.js").Message} Message */

/** Frames a second are counted over so long. */
const COUNTED_MS = 2000;
const FIGURES_EVERY_MS = 400;

export class Live {
  /** @type {Choice} */ #choice;
  /** @type {import("./stage.js").Stage} */ #stage;
  #sheet = document.createElement("canvas");
  /** Counts what is begun, so that what comes too late for it is known. */
  #attempt = 0;
  /** @type {MediaStream|null} */ #camera = null;
  /** @type {FrameStream|null} */ #stream = null;
  /** @type {Record<string, string>} The task's parameters that hold. */ #parameters = {};
  #grabbing = false;
  /** @type {number[]} When the last answers came. */ #came = [];
  #told = 0;
  /** @type {import("./api.js").Result|null} */ #result = null;

  /**
   * @param {Choice} choice
   * @param {import("./stage.js").Stage} stage
   */
  constructor(choice, stage) {
    this.#choice = choice;
    this.#stage = stage;
    watchFrames(stage.video, () => this.#send());
    byId("stop").addEventListener("click", () => (this.#isOn() ? this.#stopByHand() : this.run()));
    // A page that is left must not keep the camera's light on.
    addEventListener("pagehide", () => this.#stop());
  }

  /** Open the camera and a stream for its frames. */
  async run() {
    this.#stop();
    this.#stage.open(this.#choice.task);
    clearAnswer();
    showCode(null);
    byId("live").hidden = false;
    showCaption("Webcam", "", true);
    this.#stage.note("");
    this.#showState("opening", "Waiting for the camera…");
    const attempt = ++this.#attempt;
    try {
      const camera = await openCamera();
      if (attempt !== this.#attempt) return closeCamera(camera);
      this.#camera = camera;
      camera.getVideoTracks()[0].addEventListener("ended", () => {
        if (this.#camera === camera) this.#fail(cameraProblem("ended", "The camera is gone."));
      });
      await this.#show(camera);
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(error);
      return;
    }
    if (attempt === this.#attempt) this.#connect();
  }

  /** Another task or model needs another stream; other parameters do not. */
  choose() {
    if (this.#camera) this.#connect();
  }

  /** The task's parameters are others now. */
  change() {
    if (!this.#stream) return;
    const parameters = taskParameters();
    const back = Object.fromEntries(Object.keys(this.#parameters).map((name) => [name, null]));
    this.#parameters = parameters;
    showProblem(null);
    this.#stream.change({ ...back, ...parameters });
  }

  /** Draw again, as the page's size is another. */
  redraw() {
    this.#stage.draw();
  }

  /** Show what reaches the threshold now. */
  refilter() {
    this.#stage.refilter();
  }

  /** The result that is shown. */
  answer() {
    return this.#result;
  }

  /** Free the camera and the stream, and make room. */
  leave() {
    this.#stop();
    this.#stage.close();
    byId("live").hidden = true;
  }

  #isOn() {
    return byId("live").dataset.state !== "off";
  }

  /** @param {MediaStream} camera */
  async #show(camera) {
    const { video } = this.#stage;
    video.controls = false;
    video.muted = true;
    video.srcObject = camera;
    await video.play();
    showCaption("Webcam", `${video.videoWidth} × ${video.videoHeight}`, true);
    this.#stage.draw();
  }

  /** Open a stream for what is chosen, in the place of the one before. */
  #connect() {
    this.#disconnect();
    const { task, selector } = this.#choice;
    clearAnswer();
    if (!selector) return;
    this.#stage.open(task);
    this.#stage.draw();
    this.#parameters = taskParameters();
    this.#showState("opening", "Connecting…");
    wait("Waiting for the first answer…");
    this.#stream = new FrameStream({ task: task.id, model: selector, ...this.#parameters }, {
      opened: () => this.#showState("on", "Connected"),
      answered: (message, roundTrip) => this.#answered(message, roundTrip),
      refused: (problem) => report(problem),
      closed: (problem) => this.#fail(problem),
    });
  }

  #disconnect() {
    this.#stream?.close();
    this.#stream = null;
    this.#came = [];
    this.#result = null;
  }

  /** Send the frame that is shown, if the service can take one. */
  async #send() {
    const stream = this.#stream;
    if (!stream?.free || this.#grabbing || !this.#camera) return;
    this.#grabbing = true;
    try {
      const frame = await grabFrame(this.#stage.video, this.#sheet);
      if (frame && stream === this.#stream && stream.free) stream.send(frame);
    } finally {
      this.#grabbing = false;
    }
  }

  /**
   * @param {Message} message
   * @param {number} roundTrip In milliseconds.
   */
  #answered(message, roundTrip) {
    const now = performance.now();
    this.#came = [...this.#came.filter((time) => time > now - COUNTED_MS), now];
    if (message.result) {
      if (!this.#result) say("The webcam's frames are answered");
      this.#result = message.result;
      this.#stage.note("");
      this.#stage.show(message.result, /** @type {number} */ (message.frame));
    } else {
      this.#stage.note(message.error?.detail ?? "");
    }
    if (now - this.#told > FIGURES_EVERY_MS) this.#tell(message, roundTrip, now);
  }

  /**
   * @param {Message} message
   * @param {number} roundTrip
   * @param {number} now
   */
  #tell(message, roundTrip, now) {
    this.#told = now;
    const seconds = (now - this.#came[0]) / 1000;
    const rate = seconds > 0 ? `${((this.#came.length - 1) / seconds).toFixed(1)} frames/s · ` : "";
    this.#showState("on", `${rate}${roundTrip.toFixed(0)} ms there and back`);
    if (message.model) byId("model-version").textContent = `version ${message.model.version}`;
    if (message.timings_ms) showTimings({ stages: message.timings_ms, first: roundTrip, last: roundTrip });
  }

  #stopByHand() {
    this.#stop();
    wait("");
    say("The webcam is off");
  }

  /** Free the camera and the stream; what was shown last goes too. */
  #stop() {
    this.#attempt += 1;
    this.#disconnect();
    if (!this.#camera && !this.#isOn()) return;
    if (this.#camera) closeCamera(this.#camera);
    this.#camera = null;
    this.#stage.video.srcObject = null;
    this.#stage.clear();
    this.#stage.note("The webcam is off.");
    this.#showState("off", "");
  }

  /** @param {unknown} error Why there is no more. */
  #fail(error) {
    this.#stop();
    report(error);
    wait("There is no answer.");
  }

  /**
   * @param {"off"|"opening"|"on"} state
   * @param {string} text
   */
  #showState(state, text) {
    byId("live").dataset.state = state;
    byId("live-figures").textContent = text;
    byId("stop").textContent = state === "off" ? "Start the webcam" : "Stop the webcam";
  }
}
