/** Depth, matte, heat and restored pictures: a task's map made into something that can be drawn. */

import { bytesOf, readNpy } from "./bytes.js";
import { shownName } from "./elements.js";
import { percent } from "./findings.js";

/** @typedef {import("./api.js").DenseMap} DenseMap */
/** @typedef {{width: number, height: number, channels: number, values: Float32Array|Uint8Array, exact: boolean}} Values
 *     A map's numbers, [height, width, channels]; where they are not exact, they are the greys of a picture. */

/** Stops of a scale from dark to bright that keeps its order also without its colours. */
const SCALE = [
  [11, 10, 38], [61, 22, 106], [122, 34, 118], [186, 54, 85], [232, 103, 43], [250, 176, 44], [252, 253, 191],
];
/** How much of the picture the strongest heat covers; where there is none, all of it is seen. */
const HEAT = 0.82;

/**
 * A task's map as a picture that lies over the one that was sent, or in its place.
 * @param {string} task
 * @param {DenseMap} map
 * @param {HTMLImageElement|HTMLVideoElement|null} picture The one that was sent; a matte cuts it out.
 * @returns {Promise<CanvasImageSource>}
 */
export async function renderMap(task, map, picture) {
  const image = map.format === "npy" ? painted(map) : await decoded(map);
  if (task === "depth") return recolour(image, (grey) => [...scaled(grey / 255), 255]);
  if (task === "explain") return heated(image, picture);
  if (task === "matte") return picture ? cutOut(image, picture) : image;
  return image;
}

/**
 * What the reader is told of a map.
 * @param {string} task
 * @param {import("./api.js").Result} result
 * @param {{width: number, height: number}} size Of the map's picture.
 */
export function describeMap(task, result, size) {
  const { map, quantity } = result;
  if (!map) return "";
  const number = (/** @type {number} */ value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });
  if (task === "depth") {
    const meaning = { metres: "metres", depth: "larger is farther", inverse_depth: "larger is nearer" }[quantity ?? ""];
    return `From ${number(map.min)} (dark) to ${number(map.max)} (bright)${meaning ? `, ${meaning}` : ""}`;
  }
  if (task === "explain" && result.class) {
    const { label, index, score } = result.class;
    return `What speaks for ${shownName(label, `class ${index}`)} (${percent(score)}): bright places more than dark ones`;
  }
  return task === "matte" ? "The foreground, cut out" : `${size.width} × ${size.height} pixels`;
}

/**
 * A map's numbers, for comparing.
 * @param {DenseMap} map
 * @param {number} channels 1 or 3.
 * @returns {Promise<Values>}
 */
export async function readValues(map, channels) {
  if (map.format === "npy") {
    const { shape, values } = readNpy(bytesOf(map.data));
    return { width: shape[1], height: shape[0], channels: shape[2] ?? 1, values, exact: true };
  }
  const { width, height, data } = pixelsOf(await decoded(map));
  const values = new Float32Array(width * height * channels);
  const step = channels === 1 ? (map.max - map.min) / 255 : 1;
  const least = channels === 1 ? map.min : 0;
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < channels; c++) values[i * channels + c] = least + data[4 * i + c] * step;
  }
  return { width, height, channels, values, exact: channels === 3 };
}

/**
 * The colour of a share on the scale.
 * @param {number} share 0…1
 * @returns {[number, number, number]}
 */
export function scaled(share) {
  const place = Math.max(0, Math.min(1, share)) * (SCALE.length - 1);
  const [low, high] = [SCALE[Math.floor(place)], SCALE[Math.ceil(place)]];
  const [red, green, blue] = low.map((value, i) => value + (high[i] - value) * (place % 1));
  return [red, green, blue];
}

/** @param {DenseMap} map */
async function decoded(map) {
  const image = new Image();
  image.src = `data:image/png;base64,${map.data}`;
  await image.decode();
  return image;
}

/**
 * Numbers as a picture: greys from the least to the most, or the colours that they are.
 * @param {DenseMap} map
 */
function painted(map) {
  const { shape: [height, width, channels], values } = readNpy(bytesOf(map.data));
  const pixels = new ImageData(width, height);
  const span = map.max - map.min || 1;
  for (let i = 0; i < width * height; i++) {
    const grey = channels ? 0 : ((values[i] - map.min) / span) * 255;
    const colour = channels ? values.subarray(i * channels, i * channels + 3) : [grey, grey, grey];
    pixels.data.set([...colour, 255], 4 * i);
  }
  const canvas = canvasOf(width, height);
  contextOf(canvas).putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * A copy of a grey picture in other colours.
 * @param {HTMLImageElement|HTMLCanvasElement} image
 * @param {(grey: number) => number[]} colour Red, green, blue and opacity of a grey 0…255.
 */
function recolour(image, colour) {
  const pixels = pixelsOf(image);
  const table = Array.from({ length: 256 }, (_, grey) => colour(grey));
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data.set(table[pixels.data[i]], i);
  const canvas = canvasOf(pixels.width, pixels.height);
  contextOf(canvas).putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * The picture without its colours, and upon it those of the heat.
 * @param {HTMLImageElement|HTMLCanvasElement} heat
 * @param {HTMLImageElement|HTMLVideoElement|null} picture
 */
function heated(heat, picture) {
  const covered = (/** @type {number} */ grey) => (picture ? Math.sqrt(grey / 255) * HEAT : 1);
  const glow = recolour(heat, (grey) => [...scaled(0.15 + (0.73 * grey) / 255), 255 * covered(grey)]);
  if (!picture) return glow;
  const canvas = canvasOf(glow.width, glow.height);
  const context = contextOf(canvas);
  context.filter = "grayscale(1)";
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  context.drawImage(glow, 0, 0);
  return canvas;
}

/**
 * The foreground of a picture on a chequered ground.
 * @param {HTMLImageElement|HTMLCanvasElement} matte
 * @param {HTMLImageElement|HTMLVideoElement} picture
 */
function cutOut(matte, picture) {
  const alpha = recolour(matte, (grey) => [0, 0, 0, grey]);
  const { width, height } = alpha;
  const context = contextOf(alpha);
  context.globalCompositeOperation = "source-in";
  context.drawImage(picture, 0, 0, width, height);
  context.globalCompositeOperation = "destination-over";
  const side = Math.max(4, Math.round(Math.max(width, height) / 60));
  for (let y = 0; y * side < height; y++) {
    for (let x = 0; x * side < width; x++) {
      context.fillStyle = (x + y) % 2 ? "#ffffff" : "#cccccc";
      context.fillRect(x * side, y * side, side, side);
    }
  }
  return alpha;
}

/** @param {HTMLImageElement|HTMLCanvasElement} image */
function pixelsOf(image) {
  const [width, height] = image instanceof HTMLImageElement ? [image.naturalWidth, image.naturalHeight] : [image.width, image.height];
  const context = /** @type {CanvasRenderingContext2D} */ (canvasOf(width, height).getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, width, height);
}

/**
 * @param {number} width
 * @param {number} height
 * @returns {HTMLCanvasElement}
 */
export function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D}
 */
export function contextOf(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
}
