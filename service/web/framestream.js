/** Frames to the service and answers back, over a WebSocket. */

import { Problem } from "./api.js";
import { protocolsWithKey } from "./key.js";

/**
 * @typedef {{
 *   frame?: number, model?: {name: string, version: string}, result?: import("./api.js").Result,
 *   timings_ms?: Record<string, number>, error?: {code: string, detail: string}
 * }} Message
 * @typedef {{
 *   opened: () => void,
 *   answered: (message: Message, roundTrip: number) => void,
 *   refused: (problem: Problem) => void,
 *   closed: (problem: Problem) => void
 * }} Listener Told of the begin; of each frame's answer, with its milliseconds; of what else was said; and of an end
 *     that this page did not bring about.
 */

/** One is worked on while the next one travels; more would only be older when their turn comes. */
const UNDER_WAY = 2;

const ENDS = {
  1001: "The service ends, or no frame came for a while.",
  1008: "The service has not got what was asked for.",
  1009: "The frame is larger than the service takes.",
  1011: "The service made a mistake, which its log tells.",
  1013: "The model cannot be had now. Try again in a moment.",
};

export class FrameStream {
  /** @type {WebSocket} */ #socket;
  /** @type {number[]} When the frames were sent that have no answer yet; answers come in their order. */ #sent = [];
  /** @type {Problem|null} What was said last, if no answer has come since: it may be why there is an end. */
  #refusal = null;

  /**
   * @param {Record<string, string>} query Task, model and parameters.
   * @param {Listener} listener
   */
  constructor(query, listener) {
    const address = new URL(`v1/stream?${new URLSearchParams(query)}`, document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    this.#socket = new WebSocket(address, protocolsWithKey());
    this.#socket.onopen = () => listener.opened();
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data), listener);
    this.#socket.onclose = (event) => listener.closed(this.#refusal ?? endOf(event));
  }

  /** Whether a frame can be sent now. */
  get free() {
    return this.#socket.readyState === WebSocket.OPEN && this.#sent.length < UNDER_WAY;
  }

  /** @param {Blob} frame */
  send(frame) {
    this.#sent.push(performance.now());
    this.#socket.send(frame);
  }

  /**
   * Change parameters from the next frame on.
   * @param {Record<string, string|null>} parameters Null puts one back to its default.
   */
  change(parameters) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ parameters }));
  }

  /** End it, and hear no more of it. */
  close() {
    Object.assign(this.#socket, { onopen: null, onmessage: null, onclose: null });
    this.#socket.close(1000);
  }

  /**
   * @param {Message} message
   * @param {Listener} listener
   */
  #take(message, listener) {
    if (message.frame === undefined) {
      const { code, detail } = message.error ?? { code: "unknown", detail: "The service said what this page does not know." };
      this.#refusal = new Problem({ title: "The service refuses", detail, code });
      listener.refused(this.#refusal);
      return;
    }
    this.#refusal = null;
    listener.answered(message, performance.now() - (this.#sent.shift() ?? performance.now()));
  }
}

/**
 * Why a stream has ended.
 * @param {CloseEvent} event
 */
function endOf({ code, reason }) {
  const lost = "The service cannot be reached, or the connection is lost. Is it still running?";
  const detail = [ENDS[code] ?? (code === 1006 ? lost : "The service has closed the stream."), reason].filter(Boolean);
  return new Problem({ title: "The stream has ended", detail: detail.join(" "), code: String(code) });
}
