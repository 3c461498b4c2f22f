/** A test picture drawn on the spot, for whoever has none at hand. */

const WINDOW = ["#2f55d4", "#c8324a", "#e9a23b", "#7a3fc4", "#1592a3", "#1f8a5b"];

/**
 * A sign beside a window of coloured glass: shapes to recognise, and lines of text to find.
 * @returns {Promise<File>} A PNG of 960 x 640 pixels.
 */
export async function drawSample() {
  const canvas = document.createElement("canvas");
  canvas.width = 960;
  canvas.height = 640;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#efe9dc";
  context.fillRect(0, 0, 960, 640);
  drawWindow(context);
  context.fillStyle = "#26242e";
  context.font = "600 76px Georgia, serif";
  context.fillText("Vitrail", 470, 190);
  context.font = "34px Georgia, serif";
  ["classifies, detects,", "segments, and finds", "lines of text like this"].forEach((line, i) =>
    context.fillText(line, 472, 300 + i * 76),
  );
  const blob = await new Promise((/** @type {(blob: Blob|null) => void} */ resolve) => canvas.toBlob(resolve));
  return new File([/** @type {Blob} */ (blob)], "sample.png", { type: "image/png" });
}

/** @param {CanvasRenderingContext2D} context */
function drawWindow(context) {
  context.save();
  const arch = new Path2D("M90 580V280C90 170 160 90 240 50c80 40 150 120 150 230v300z");
  context.clip(arch);
  for (let row = 0; row < 6; row++) {
    for (let column = 0; column < 3; column++) {
      context.fillStyle = WINDOW[(row * 2 + column) % WINDOW.length];
      context.fillRect(90 + column * 100, 40 + row * 92, 94, 86);
    }
  }
  context.restore();
  context.lineWidth = 14;
  context.strokeStyle = "#26242e";
  context.stroke(arch);
}
