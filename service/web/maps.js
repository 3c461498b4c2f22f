/** Depth, matte and restored pictures: a task's map made into something that can be drawn. */

/** @typedef {import("./api.js").DenseMap} DenseMap */

/** Stops of a scale from dark to bright that keeps its order also without its colours. */
const SCALE = [
  [11, 10, 38], [61, 22, 106], [122, 34, 118], [186, 54, 85], [232, 103, 43], [250, 176, 44], [252, 253, 191],
];

/**
 * A task's map as a picture that lies over the one that was sent, or in its place.
 * @param {string} task
 * @param {DenseMap} map
 * @param {HTMLImageElement|HTMLVideoElement|null} picture The one that was sent; a matte cuts it out.
 * @returns {Promise<CanvasImageSource>}
 */
export async function renderMap(task, map, picture) {
  const image = new Image();
  image.src = `data:image/png;base64,${map.data}`;
  await image.decode();
  if (task === "depth") return recolour(image, scaled);
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
  return task === "matte" ? "The foreground, cut out" : `${size.width} × ${size.height} pixels`;
}

/**
 * A copy of a grey picture in other colours.
 * @param {HTMLImageElement} image
 * @param {(grey: number) => [number, number, number, number]} colour Of a grey 0…255, with its opacity.
 */
function recolour(image, colour) {
  const canvas = canvasOf(image.naturalWidth, image.naturalHeight);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const table = Array.from({ length: 256 }, (_, grey) => colour(grey));
  for (let i = 0; i < pixels.data.length; i += 4) pixels.data.set(table[pixels.data[i]], i);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * The colour of a grey on the scale.
 * @param {number} grey
 * @returns {[number, number, number, number]}
 */
function scaled(grey) {
  const place = (grey / 255) * (SCALE.length - 1);
  const [low, high] = [SCALE[Math.floor(place)], SCALE[Math.ceil(place)]];
  const mixed = low.map((value, i) => value + (high[i] - value) * (place % 1));
  return [mixed[0], mixed[1], mixed[2], 255];
}

/**
 * The foreground of a picture on a chequered ground.
 * @param {HTMLImageElement} matte
 * @param {HTMLImageElement|HTMLVideoElement} picture
 */
function cutOut(matte, picture) {
  const alpha = recolour(matte, (grey) => [0, 0, 0, grey]);
  const { width, height } = alpha;
  const context = /** @type {CanvasRenderingContext2D} */ (alpha.getContext("2d"));
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

/**
 * @param {number} width
 * @param {number} height
 */
function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}
