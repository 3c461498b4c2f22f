/** The colours of the glass. */

/** @typedef {{fill: string, ink: string, rgb: [number, number, number]}} Glass A pane's colour, and text's upon it. */

/** @type {Glass[]} */
const PANES = [
  { fill: "#2f55d4", ink: "#ffffff", rgb: [47, 85, 212] },
  { fill: "#e9a23b", ink: "#17161d", rgb: [233, 162, 59] },
  { fill: "#c8324a", ink: "#ffffff", rgb: [200, 50, 74] },
  { fill: "#27b077", ink: "#17161d", rgb: [39, 176, 119] },
  { fill: "#7a3fc4", ink: "#ffffff", rgb: [122, 63, 196] },
  { fill: "#2bb8cc", ink: "#17161d", rgb: [43, 184, 204] },
  { fill: "#e0679f", ink: "#17161d", rgb: [224, 103, 159] },
  { fill: "#9dbb3c", ink: "#17161d", rgb: [157, 187, 60] },
];

/** @type {Glass} For what is in no track while others are. */
const CLEAR = { fill: "#8b8998", ink: "#ffffff", rgb: [139, 137, 152] };
/** Turned by this from track to track, hues that follow one another lie far apart. */
const GOLDEN_ANGLE = 137.508;

/**
 * One colour a track; without tracks one a label, in the order of first appearance, and what has no label shares the
 * first.
 * @param {{label?: string, track_id?: number}[]} findings
 * @returns {Glass[]} For each finding.
 */
export function coloursOf(findings) {
  if (findings.some((finding) => finding.track_id !== undefined)) {
    return findings.map(({ track_id: track }) => (track === undefined ? CLEAR : colourOfTrack(track)));
  }
  const order = new Map([...new Set(findings.map((finding) => finding.label ?? ""))].map((label, i) => [label, i]));
  return findings.map((finding) => PANES[(order.get(finding.label ?? "") ?? 0) % PANES.length]);
}

/**
 * The colour of a track, the same in every frame; the first tracks have the panes.
 * @param {number} track From 1.
 * @returns {Glass}
 */
function colourOfTrack(track) {
  if (track <= PANES.length) return PANES[Math.max(0, track - 1)];
  const lightness = track % 2 ? 0.42 : 0.66;
  const rgb = fromHue((track * GOLDEN_ANGLE) % 360, 0.65, lightness);
  return { fill: `rgb(${rgb.join(" ")})`, ink: lightness < 0.5 ? "#ffffff" : "#17161d", rgb };
}

/**
 * @param {number} hue In degrees.
 * @param {number} saturation 0…1
 * @param {number} lightness 0…1
 * @returns {[number, number, number]} Red, green and blue, 0…255.
 */
function fromHue(hue, saturation, lightness) {
  const reach = saturation * Math.min(lightness, 1 - lightness);
  const channel = (/** @type {number} */ offset) => {
    const place = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}
