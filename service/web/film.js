/** A video file: played here, processed there, and its results drawn upon the frames to which they belong. */

import { showCode } from "./codecard.js";
import { videoCommand } from "./command.js";
import { byId } from "./elements.js";
import { watchFrames } from "./frames.js";
import { followLines, followStatus, hasEnded } from "./job.js";
import { hasAnnotated, hideJob, showJob, showUpload } from "./jobcard.js";
import { filmOptions, hideOptions, showOptions, typedOptions } from "./options.js";
import { clearAnswer, fileSize, report, say, showCaption, showProblem, wait } from "./panels.js";
import { typedParameters } from "./parameters.js";
import { videoCode } from "./pythoncode.js";
import { Timeline } from "./timeline.js";
import { cancelJob, deleteJob, jobPath, readLines, sendVideo, videosPath } from "./videos.js";

/** @typedef {import("./playground.js").Choice} Choice */
/** @typedef {import("./videos.js").JobStatus} JobStatus */
/** @typedef {import("./videos.js").Line} Line */
/** @typedef {"file"|"annotated"|"nothing"} Playing The chosen file, what the service made of it, or neither can be. */

const UNPROCESSED = "The answer stands here as soon as the video is processed.";

export class Film {
  /** @type {Choice} */ #choice;
  /** @type {import("./stage.js").Stage} */ #stage;
  /** @type {File|null} */ #file = null;
  /** @type {JobStatus|null} */ #job = null;
  /** @type {AbortController|null} Of all that is under way for the job. */ #following = null;
  #timeline = new Timeline();
  /** Whether all lines have been read. */
  #complete = false;
  #refilling = false;
  #time_s = 0;
  /** @type {Line|null} The one that is shown. */ #line = null;
  /** @type {Playing} */ #playing = "file";

  /**
   * @param {Choice} choice
   * @param {import("./stage.js").Stage} stage
   */
  constructor(choice, stage) {
    this.#choice = choice;
    this.#stage = stage;
    const { video } = stage;
    watchFrames(video, (time_s) => this.#file && this.#at(time_s));
    video.addEventListener("loadedmetadata", () => this.#file && this.#loaded());
    video.addEventListener("error", () => this.#file && this.#cannotPlay());
    // Only the list beside a video that stands still can be pointed at.
    for (const event of ["pause", "play"]) video.addEventListener(event, () => this.#file && stage.refilter());
    byId("cancel").addEventListener("click", () => this.#cancel());
    byId("delete").addEventListener("click", () => this.#delete());
  }

  /** @param {File} file */
  take(file) {
    this.leave();
    this.#file = file;
    this.#stage.open(this.#choice.task);
    this.#play("file", URL.createObjectURL(file));
    showCaption(file.name, fileSize(file.size));
    clearAnswer();
    wait(UNPROCESSED);
    this.choose();
    byId("process").focus({ preventScroll: true });
  }

  /** Task, model or options are others now: they hold for the next run, for a job goes on as it began. */
  choose() {
    const { task, selector } = this.#choice;
    showOptions(task);
    byId("process").disabled = !selector || this.#isUnderWay();
    if (!selector || !this.#file) return showCode(null);
    showCode({
      curl: videoCommand(task.id, selector, filmOptions(task), this.#file),
      python: videoCode(task.id, selector, { ...typedOptions(task), ...typedParameters() }, this.#file.name),
    });
  }

  /** Other parameters hold for the next run, too. */
  change() {
    this.choose();
  }

  /** Go on: with the job that was lost sight of, or from the beginning. */
  run() {
    const job = this.#job;
    if (!job || hasEnded(job)) return this.process();
    showProblem(null);
    return this.#underWay((signal) => this.#follow(job.id, signal));
  }

  /** Send the video, and follow what becomes of it. */
  async process() {
    const { task, selector } = this.#choice;
    const file = this.#file;
    if (!file || !selector) return;
    this.#forget();
    this.#stage.open(task);
    wait("Waiting for the first result…");
    showUpload(0);
    say("Uploading");
    const path = videosPath(task.id, selector, filmOptions(task));
    await this.#underWay(async (signal) => {
      const status = await sendVideo(path, file, (share) => !signal.aborted && showUpload(share), signal);
      if (signal.aborted) return;
      this.#changed(status);
      await this.#follow(status.id, signal);
    });
  }

  /**
   * Do something that ends with the interest in it, and tell of its failure.
   * @param {(signal: AbortSignal) => Promise<void>} work
   */
  async #underWay(work) {
    const following = new AbortController();
    this.#following?.abort();
    this.#following = following;
    this.choose();
    try {
      await work(following.signal);
    } catch (error) {
      if (following.signal.aborted) return;
      following.abort();
      if (!this.#job) hideJob();
      if (!this.#line) wait("There is no answer.");
      report(error);
      this.choose();
    }
  }

  /**
   * Follow a job to its end.
   * @param {string} id
   * @param {AbortSignal} signal
   */
  async #follow(id, signal) {
    await Promise.all([
      followStatus(id, (status) => this.#changed(status), signal),
      followLines(id, () => this.#timeline.next, (lines) => this.#add(lines), signal),
    ]);
    if (!signal.aborted) this.#ended();
  }

  /** Draw again, as the page's size or the threshold is another. */
  redraw() {
    this.#stage.draw();
  }

  /** Show what reaches the threshold now. */
  refilter() {
    this.#stage.refilter();
  }

  /** The line that is shown. */
  answer() {
    return this.#line;
  }

  /** Make room for something else; the job goes on. */
  leave() {
    this.#forget();
    this.#file = null;
    this.#play("file", "");
    this.#stage.close();
    hideOptions();
  }

  /** Forget the job; the service keeps it. */
  #forget() {
    this.#following?.abort();
    this.#following = null;
    this.#job = null;
    this.#line = null;
    this.#timeline = new Timeline();
    this.#complete = false;
    this.#refilling = false;
    hideJob();
    clearAnswer();
    this.#stage.clear();
    if (this.#playing !== "nothing") this.#stage.note("");
  }

  #isUnderWay() {
    if (!this.#following || this.#following.signal.aborted) return false;
    return !this.#job || !hasEnded(this.#job);
  }

  /**
   * @param {Playing} playing
   * @param {string} address Empty for none.
   */
  #play(playing, address) {
    const { video } = this.#stage;
    if (video.src.startsWith("blob:")) URL.revokeObjectURL(video.src);
    this.#playing = playing;
    this.#time_s = 0;
    this.#stage.bare = playing === "annotated";
    video.controls = Boolean(address);
    if (address) video.src = address;
    else video.removeAttribute("src");
    video.load();
  }

  #loaded() {
    const { video } = this.#stage;
    const file = /** @type {File} */ (this.#file);
    if (this.#playing === "file") {
      showCaption(file.name, `${video.videoWidth} × ${video.videoHeight} · ${fileSize(file.size)}`);
    }
    this.#stage.draw();
  }

  #cannotPlay() {
    const wasAnnotated = this.#playing === "annotated";
    this.#play("nothing", "");
    this.#stage.note(
      wasAnnotated
        ? "This browser cannot play the annotated video either; it can be downloaded below."
        : "This browser cannot play the video. It can be processed all the same, and shown as an annotated MP4.",
    );
    this.#showAnnotated(wasAnnotated);
  }

  /** @param {JobStatus} status */
  #changed(status) {
    if (status.state !== this.#job?.state) say(`The video is ${status.state}`);
    this.#job = status;
    const file = /** @type {File} */ (this.#file);
    showJob(status, file.name);
    if (status.summary.model) byId("model-version").textContent = `version ${status.summary.model.version}`;
    this.#at(this.#time_s);
  }

  /** All lines are read, and nothing more happens in the job. */
  #ended() {
    this.#complete = true;
    if (this.#timeline.next === 0) wait("There is no result.");
    this.choose();
    this.#at(this.#time_s);
    this.#showAnnotated(false);
  }

  /**
   * Where the file itself cannot be played, play what the service made of it.
   * @param {boolean} tried Whether that cannot be played either.
   */
  #showAnnotated(tried) {
    if (this.#playing !== "nothing" || !this.#job || !hasEnded(this.#job) || tried) return;
    if (hasAnnotated(this.#job)) {
      this.#stage.note("");
      this.#stage.clear();
      this.#line = null;
      this.#play("annotated", jobPath(this.#job.id, "/annotated.mp4"));
    } else {
      this.#stage.note("This browser cannot play the video. With an annotated MP4, that would be shown here.");
    }
  }

  /** @param {import("./videos.js").SizedLine[]} lines */
  #add(lines) {
    for (const { line, size } of lines) this.#timeline.add(line, size);
    // What cannot be seen can at least be followed: the newest result on an empty page.
    this.#at(this.#playing === "nothing" ? this.#timeline.end_s : this.#time_s);
  }

  /**
   * Show the results of a frame.
   * @param {number} time_s
   */
  #at(time_s) {
    this.#time_s = time_s;
    const whole = this.#complete && this.#job?.state === "done";
    const ahead = this.#job !== null && !whole && this.#timeline.isAhead(time_s);
    const { line, missing } = ahead ? { line: null, missing: null } : this.#timeline.at(time_s);
    if (missing) this.#refill(missing);
    else if (line && line !== this.#line) this.#stage.show(line, line.frame);
    else if (!line && this.#line) this.#stage.clear();
    if (!missing) this.#line = line;
    if (this.#playing !== "nothing") this.#stage.note(ahead ? this.#absence() : "");
  }

  /** Why there is nothing on the frame that is shown. */
  #absence() {
    const { end_s: end } = this.#timeline;
    const reach = end > 0 ? `; results reach to ${clock(end)}` : "";
    return this.#job && hasEnded(this.#job) ? `Not processed${reach}.` : `Not yet processed${reach}.`;
  }

  /**
   * Read lines again that have been let go.
   * @param {import("./timeline.js").Block} block
   */
  async #refill(block) {
    const [timeline, following, job] = [this.#timeline, this.#following, this.#job];
    if (this.#refilling || !following || !job) return;
    this.#refilling = true;
    const kept = [];
    try {
      for await (const lines of readLines(job.id, block.from, following.signal)) {
        kept.push(...lines.map(({ line }) => line).filter((line) => line.frame <= block.to));
        if (kept.length >= block.count) break;
      }
    } catch (error) {
      // No further attempts, unless the job is taken up again: there would be one for each frame that is shown.
      if (!following.signal.aborted) report(error);
      else if (this.#timeline === timeline) this.#refilling = false;
      return;
    }
    if (this.#timeline !== timeline) return;
    timeline.restore(block, kept);
    this.#refilling = false;
    this.#at(this.#time_s);
  }

  async #cancel() {
    const { id } = this.#job ?? {};
    if (!id) {
      // It is still on its way.
      this.#forget();
      this.choose();
      wait(UNPROCESSED);
      return;
    }
    try {
      const status = await cancelJob(id);
      if (this.#job?.id === id) this.#changed(status);
    } catch (error) {
      report(error);
    }
  }

  async #delete() {
    const { id } = this.#job ?? {};
    if (!id) return;
    try {
      await deleteJob(id);
    } catch (error) {
      return report(error);
    }
    if (this.#job?.id !== id) return;
    this.#forget();
    if (this.#playing === "annotated") this.#cannotPlay();
    this.choose();
    wait("The results are deleted.");
    say("Deleted");
    byId("process").focus();
  }
}

/** @param {number} seconds */
function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
