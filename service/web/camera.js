/** The webcam: had, given back, and its frames as JPEG. */

import { Problem } from "./api.js";

/** Models see no more than that, and less is sooner there. */
const WIDEST = 640;
const QUALITY = 0.8;

const REASONS = {
  NotAllowedError: "The browser does not let this page use the camera. Allow it for this page, and try again.",
  NotFoundError: "There is no camera.",
  NotReadableError: "The camera cannot be used now; perhaps another program has it.",
  AbortError: "The camera did not start.",
};

/**
 * Ask for the camera, at about the size that is sent.
 * @returns {Promise<MediaStream>} Rejected with a Problem that says why there is none.
 */
export async function openCamera() {
  if (!navigator.mediaDevices) {
    throw cameraProblem("insecure", "Browsers give a camera to pages on localhost or over HTTPS only.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: false, video: { width: { ideal: WIDEST } } });
  } catch (error) {
    const { name, message } = /** @type {DOMException} */ (error);
    throw cameraProblem(name, REASONS[name] ?? message);
  }
}

/**
 * @param {string} code
 * @param {string} detail
 */
export function cameraProblem(code, detail) {
  return new Problem({ title: "No camera", detail, code });
}

/**
 * Give the camera back.
 * @param {MediaStream} camera
 */
export function closeCamera(camera) {
  for (const track of camera.getTracks()) track.stop();
}

/**
 * The frame that a video shows now.
 * @param {HTMLVideoElement} video
 * @param {HTMLCanvasElement} canvas Drawn upon on the way.
 * @returns {Promise<Blob|null>} A JPEG, no wider than is of use; null where there is no frame.
 */
export function grabFrame(video, canvas) {
  const scale = Math.min(1, WIDEST / video.videoWidth);
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
