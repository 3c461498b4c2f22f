/** The list of what was found, beside the picture. */

import { bar, byId, named } from "./elements.js";
import { percent } from "./findings.js";
import { RowList } from "./rowlist.js";

/** @typedef {import("./findings.js").NamedFinding} NamedFinding */

/** @type {{list: RowList, findings: NamedFinding[]}|null} */
let shown = null;

/**
 * List findings, best first.
 * @param {NamedFinding[]} findings
 * @param {string} label What they are, for those who hear it.
 * @param {((finding: NamedFinding|null) => void)|null} choose Told which one a reader looks at; null where there is
 *     nothing to point out in the picture.
 */
export function showFindings(findings, label, choose) {
  shown = null;
  if (!findings.length) return byId("answer").replaceChildren();
  const list = new RowList({
    count: findings.length,
    label,
    row: (place) => rowOf(findings[place]),
    choose: choose && ((place) => choose(place === null ? null : findings[place])),
  });
  byId("answer").replaceChildren(list.element);
  shown = { list, findings };
}

/**
 * Mark the row of a finding that is pointed at in the picture.
 * @param {NamedFinding|null} finding
 */
export function liftFinding(finding) {
  const place = finding && shown ? shown.findings.indexOf(finding) : -1;
  shown?.list.lift(place < 0 ? null : place);
}

/** @param {NamedFinding} finding */
function rowOf(finding) {
  const score = document.createElement("span");
  score.className = "score";
  score.textContent = percent(finding.score);
  return [named("name", finding.name), score, bar(0, finding.score ?? 1, finding.colour.fill)];
}
