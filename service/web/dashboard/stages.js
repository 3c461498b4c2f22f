/** Where the time of the window's requests went: a table of the stages, and how much of the whole they make up. */

import { byId, make } from "../elements.js";
import { partedBar, setShare, write } from "./fill.js";
import { STAGES } from "./history.js";
import { count, duration, NONE, share } from "./units.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./history.js").Spread} Spread */

/** @type {("mean"|"p50"|"p95"|"p99")[]} */
const COLUMNS = ["mean", "p50", "p95", "p99"];
/** A sum that differs by less is the whole, but for the clock's grain. */
const NEGLIGIBLE = 0.005;

/**
 * Make the table and the bar of the means, and give what fills them.
 * @returns {(history: History) => void}
 */
export function makeStages() {
  const rows = STAGES.map((stage) => makeRow(stage, "", partedBar("spread", "p99", "p95", "p50")));
  const whole = makeRow("Whole request", "whole-request", partedBar("spread", "p99", "p95", "p50"));
  const head = make("tr", "", heading("Stage"), heading("p50 · p95 · p99"), ...COLUMNS.map(heading));
  head.replaceChild(spreadCell("th", "p50 · p95 · p99"), head.children[1]);
  byId("stages-table").append(make(
    "table", "stages-table", make("caption", "visually-hidden", "Time in each stage, over the window"),
    make("thead", "", head), make("tbody", "", ...rows.map(({ row }) => row)), make("tfoot", "", whole.row),
  ));
  const panes = STAGES.map(makePane);
  const unnamed = makePane("unnamed");
  const mean = make("div", "mean-bar", ...panes, unnamed);
  mean.setAttribute("aria-hidden", "true");
  const sentence = make("p", "facts", "");
  byId("stages-sum").append(mean, sentence);
  return ({ window }) => {
    const reach = window.total_ms?.p99 || 1;
    STAGES.forEach((stage, i) => fill(rows[i], window.stages_ms?.[stage] ?? null, reach));
    fill(whole, window.total_ms, reach);
    const answered = window.requests - window.errors - window.refused;
    write(byId("stages-total"), window.total_ms ? `${count(answered)} answered` : "");
    const means = STAGES.map((stage) => window.stages_ms?.[stage]?.mean ?? 0);
    const sum = means.reduce((all, one) => all + one, 0);
    const total = window.total_ms?.mean ?? 0;
    panes.forEach((pane, i) => setShare(pane, "--length", total ? means[i] / Math.max(sum, total) : 0));
    setShare(unnamed, "--length", total ? Math.max(0, total - sum) / Math.max(sum, total) : 0);
    write(sentence, total ? balance(sum, total) : "No answered request in this window.");
  };
}

/**
 * What the means of the stages make up of the mean of the whole, whichever is the larger.
 * @param {number} sum In milliseconds.
 * @param {number} total In milliseconds.
 */
function balance(sum, total) {
  const made = `On the mean the stages add up to ${duration(sum)} of ${duration(total)}`;
  const rest = Math.abs(sum - total) / total;
  const note = "Percentiles of stages do not add up: the slowest requests are slow in different places.";
  if (rest < NEGLIGIBLE) return `${made}. ${note}`;
  if (sum < total) return `${made}: ${share(sum / total)}; ${duration(total - sum)} have no name. ${note}`;
  return `${made}: ${share(rest)} too much, because stages of images of one request overlap. ${note}`;
}

/**
 * @param {string} title
 * @param {string} className
 * @param {HTMLElement} spread
 */
function makeRow(title, className, spread) {
  const cells = COLUMNS.map(() => make("td", "figure", NONE));
  const name = make("th", "", ...(className ? [] : [swatch(title)]), title);
  name.setAttribute("scope", "row");
  if (!className) spread.style.setProperty("--colour", `var(--stage-${title})`);
  return { row: make("tr", className, name, spreadCell("td", spread), ...cells), cells, spread };
}

/**
 * @param {{cells: HTMLElement[], spread: HTMLElement}} row
 * @param {Spread|null} spread
 * @param {number} reach Of the bars, in milliseconds.
 */
function fill(row, spread, reach) {
  COLUMNS.forEach((column, i) => write(row.cells[i], duration(spread?.[column])));
  for (const rank of /** @type {("p50"|"p95"|"p99")[]} */ (["p50", "p95", "p99"])) {
    setShare(row.spread, `--${rank}-share`, Math.min(1, (spread?.[rank] ?? 0) / reach));
  }
}

/**
 * A cell of the column that only shows what the others say.
 * @param {string} tag
 * @param {Node|string} content
 */
function spreadCell(tag, content) {
  const cell = make(tag, "spread-cell", content);
  cell.setAttribute("aria-hidden", "true");
  return cell;
}

/** @param {string} text */
function heading(text) {
  const cell = make("th", "", text);
  cell.setAttribute("scope", "col");
  return cell;
}

/** @param {string} stage */
function swatch(stage) {
  const element = make("span", "swatch");
  element.style.setProperty("--colour", `var(--stage-${stage})`);
  return element;
}

/** @param {string} stage */
function makePane(stage) {
  const pane = make("span", stage === "unnamed" ? "pane unnamed" : "pane");
  if (stage !== "unnamed") pane.style.setProperty("--colour", `var(--stage-${stage})`);
  return pane;
}
