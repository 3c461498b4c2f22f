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

/**
 * One colour a label, in the order of first appearance; what has no label shares the first.
 * @param {{label?: string}[]} findings
 * @returns {Glass[]} For each finding.
 */
export function coloursOf(findings) {
  const order = [...new Set(findings.map((finding) => finding.label ?? ""))];
  return findings.map((finding) => PANES[order.indexOf(finding.label ?? "") % PANES.length]);
}
