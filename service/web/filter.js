/** Which findings are shown: by score, by the letters of their label, and by labels that were picked. */

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */

export class Filter {
  /** The least score, 0…1. */
  threshold = 0;
  /** Small letters that a name must hold. */
  text = "";
  /** @type {Set<string>} Labels that were picked; none means all. */
  labels = new Set();

  /** @param {NamedFinding} finding */
  shows(finding) {
    if (finding.score !== undefined && finding.score < this.threshold) return false;
    if (this.labels.size && !this.labels.has(finding.label ?? "")) return false;
    return !this.text || finding.name.toLowerCase().includes(this.text);
  }

  /** Why nothing is left of what was found. */
  get reason() {
    return this.text || this.labels.size ? "Nothing has such a label and reaches this score." : "Nothing reaches this score.";
  }
}
