/** What differs between two answers, as a figure, a sentence, and a list. */

import { bar, byId, make, named } from "./elements.js";
import { percent } from "./findings.js";
import { percentage } from "./mapdifference.js";
import { RowList } from "./rowlist.js";
import { FATES } from "./sides.js";

/** @typedef {import("./difference.js").Difference} Difference */
/** @typedef {import("./findings.js").NamedFinding} NamedFinding */
/** @typedef {{parts: (Node|string)[], findings: NamedFinding[]}} Row */

/**
 * Show a difference.
 * @param {Difference} difference
 * @param {(findings: NamedFinding[]) => void} choose Told what a reader looks at in the list: of each side at most one.
 * @returns {(finding: NamedFinding|null) => void} Marks the row of what a reader looks at in a picture.
 */
export function showDifference(difference, choose) {
  const { share, text, classes, matches } = difference;
  byId("count").textContent = share === null ? "" : `${percentage(share)} apart`;
  byId("comparison").dataset.share = share === null ? "" : String(share);
  const verdict = make("p", "verdict", text);
  const parts = matches ? [verdict, legend()] : [verdict];
  const rows = classes ? classes.map(classRow) : matches ? matchRows(matches) : [];
  if (!rows.length) {
    byId("answer").replaceChildren(...parts);
    return () => {};
  }
  const list = new RowList({
    count: rows.length,
    label: "What both found",
    row: (place) => rows[place].parts,
    choose: matches ? (place) => choose(place === null ? [] : rows[place].findings) : null,
  });
  byId("answer").replaceChildren(...parts, list.element);
  return (finding) => {
    const place = finding ? rows.findIndex(({ findings }) => findings.includes(finding)) : -1;
    list.lift(place < 0 ? null : place);
  };
}

/**
 * @param {import("./difference.js").ClassPair} pair
 * @returns {Row}
 */
function classRow({ name, first, second }) {
  const score = (/** @type {number|null} */ value) => (value === null ? "—" : percent(value));
  const bars = make("span", "bars", bar(0, first ?? 0, FATES.first.fill), bar(0, second ?? 0, FATES.second.fill));
  return { parts: [named("name", name), make("span", "score", `${score(first)} · ${score(second)}`), bars], findings: [] };
}

/**
 * What differs most comes first.
 * @param {import("./matching.js").Matches} matches
 * @returns {Row[]}
 */
function matchRows({ pairs, onlyFirst, onlySecond }) {
  const measure = pairs[0]?.first.keypoints ? "OKS" : "IoU";
  const alike = [...pairs].sort((a, b) => Number(a.same) - Number(b.same) || a.similarity - b.similarity);
  const of = (/** @type {import("./matching.js").Pair} */ { first, second, similarity, same }) => ({
    parts: [
      same ? named("name", first.name) : make("span", "name", named("", first.name), " → ", named("", second.name)),
      make("span", "score", `${measure} ${similarity.toFixed(2)}`),
      bar(0, similarity, (same ? FATES.both : FATES.relabelled).fill),
    ],
    findings: [first, second],
  });
  const only = (/** @type {"first"|"second"} */ side, /** @type {string} */ letter) => (/** @type {NamedFinding} */ found) => ({
    parts: [
      named("name", found.name),
      make("span", "score", [`only ${letter}`, percent(found.score)].filter(Boolean).join(" · ")),
      bar(0, found.score ?? 1, FATES[side].fill),
    ],
    findings: [found],
  });
  return [
    ...alike.filter(({ same }) => !same).map(of), ...onlyFirst.map(only("first", "A")),
    ...onlySecond.map(only("second", "B")), ...alike.filter(({ same }) => same).map(of),
  ];
}

function legend() {
  const entries = /** @type {const} */ ([["both", "in both"], ["relabelled", "another label"], ["first", "only in A"], ["second", "only in B"]]);
  const parts = entries.map(([fate, text]) => {
    const dot = make("span", "dot");
    dot.style.setProperty("--colour", FATES[fate].fill);
    return make("span", "entry", dot, text);
  });
  return make("p", "legend", ...parts);
}
