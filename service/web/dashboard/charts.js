/** All charts over time: what each shows, and from where in the history. */

import { Chart } from "./chart.js";
import { byId } from "../elements.js";
import { write } from "./fill.js";
import { STAGES } from "./history.js";
import { bytes, cores, count, duration, durationMark, perSecond } from "./units.js";

/** @typedef {import("./history.js").History} History */
/** @typedef {import("./chart.js").Plan} Plan */

/** 1, 2, 5, 10, 20 … */
const WHOLE = Array.from({ length: 27 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));
/** 1 MiB, 2 MiB, 4 MiB … */
const DOUBLES = Array.from({ length: 24 }, (_, i) => 2 ** (20 + i));

/** @type {Record<string, Plan>} By the id of their place. */
const PLANS = {
  "stages-chart": {
    title: "Mean time of a request in each stage",
    unit: duration,
    marks: durationMark,
    stacked: true,
    lines: STAGES.map((stage) => ({ label: stage, colour: `--stage-${stage}`, of: ({ stages }) => stages[stage] })),
  },
  "latency-chart": {
    title: "Latency of answered requests",
    unit: duration,
    marks: durationMark,
    lines: [
      { label: "p99", colour: "--p99", of: ({ latency }) => latency.p99_ms },
      { label: "p95", colour: "--p95", of: ({ latency }) => latency.p95_ms },
      { label: "p50", colour: "--p50", of: ({ latency }) => latency.p50_ms },
    ],
  },
  "throughput-chart": {
    title: "Throughput",
    unit: perSecond,
    filled: true,
    least: 1,
    lines: [
      { label: "requests", colour: "--accent", of: ({ requests }) => requests.rate },
      { label: "refused", colour: "--amber", of: ({ requests }) => requests.refused, seldom: true },
      { label: "errors", colour: "--ruby", of: ({ requests }) => requests.errors, seldom: true },
    ],
  },
  "saturation-chart": {
    title: "Images in flight and in queues, the most of each moment",
    unit: count,
    filled: true,
    steps: WHOLE,
    least: 4,
    lines: [
      { label: "in flight", colour: "--stage-compute", of: ({ gauges }) => gauges.in_flight },
      { label: "in queues", colour: "--stage-queue", of: ({ gauges }) => gauges.queue_depth },
    ],
  },
  "frames-chart": {
    title: "Frames of videos and live streams a second",
    unit: perSecond,
    filled: true,
    least: 1,
    lines: [
      { label: "processed", colour: "--green", of: ({ video }) => video.frames.processed },
      { label: "carried over", colour: "--stage-decode", of: ({ video }) => video.frames.carried, seldom: true },
      { label: "dropped", colour: "--ruby", of: ({ video }) => video.frames.dropped, seldom: true },
    ],
  },
  "lag-chart": {
    title: "Lag of live streams behind their source",
    unit: duration,
    marks: durationMark,
    lines: [
      { label: "p99", colour: "--p99", of: ({ video }) => video.lag_ms.p99 },
      { label: "p50", colour: "--p50", of: ({ video }) => video.lag_ms.p50 },
    ],
  },
  "memory-chart": {
    title: "Memory of the process",
    unit: bytes,
    filled: true,
    steps: DOUBLES,
    lines: [{ label: "resident", colour: "--stage-postprocess", of: ({ gauges }) => gauges.memory_bytes }],
  },
  "cpu-chart": {
    title: "Processor cores in use",
    unit: cores,
    filled: true,
    least: 0.5,
    lines: [{ label: "in use", colour: "--stage-preprocess", of: ({ gauges }) => gauges.cpu }],
  },
  "loop-chart": {
    title: "How late the event loop was, at worst",
    unit: duration,
    marks: durationMark,
    filled: true,
    least: 10,
    lines: [{ label: "at worst", colour: "--amber", of: ({ gauges }) => gauges.event_loop_lag_ms }],
  },
};

/**
 * Make all charts, and give what fills them.
 * @returns {(history: History) => void}
 */
export function makeCharts() {
  const charts = Object.entries(PLANS).map(([id, plan]) => new Chart(byId(id), plan));
  return (history) => {
    const { gauges, video } = history;
    write(byId("permits"), `${count(gauges.in_flight_limit)} permits`);
    byId("video").hidden = !hasVideo(history);
    const jobs = `jobs: ${count(video.jobs_running)} running, ${count(video.jobs_waiting)} waiting`;
    write(byId("video-now"), `${jobs} · live streams: ${count(video.streams)}`);
    for (const chart of charts) chart.show(history);
  };
}

/** @param {History} history */
function hasVideo({ video }) {
  const frames = Object.values(video.frames).some((row) => row.some((value) => value));
  return frames || video.jobs_running + video.jobs_waiting + video.streams > 0;
}
