/** Which frame of a video is on the screen, told whenever that changes. */

/**
 * Watch a video.
 * @param {HTMLVideoElement} video
 * @param {(time_s: number) => void} shown Told the presentation time of each frame that is shown.
 */
export function watchFrames(video, shown) {
  if ("requestVideoFrameCallback" in video) {
    const next = (/** @type {number} */ _now, /** @type {{mediaTime: number}} */ frame) => {
      shown(frame.mediaTime);
      video.requestVideoFrameCallback(next);
    };
    video.requestVideoFrameCallback(next);
    return;
  }
  watchTime(/** @type {HTMLVideoElement} */ (video), shown);
}

/**
 * The same without the browser's help: the time of playback, up to a frame ahead of what is seen.
 * @param {HTMLVideoElement} video
 * @param {(time_s: number) => void} shown
 */
function watchTime(video, shown) {
  const playing = () => {
    shown(video.currentTime);
    if (!video.paused && !video.ended) requestAnimationFrame(playing);
  };
  for (const event of ["play", "seeked", "loadeddata"]) video.addEventListener(event, playing);
}
