"""The figures of a window of time, as they are shown."""

from typing import cast

import numpy as np

from service.telemetry.history.answer import (
    FrameSeries,
    Gaps,
    GaugeSeries,
    Latency,
    Requests,
    StageSeries,
    StageTimes,
    TotalTimes,
    Video,
    WindowTotals,
)
from service.telemetry.history.gauges import Gauges
from service.telemetry.history.latency_buckets import Floats, added_percentiles, percentiles
from service.telemetry.history.names import is_fault, is_refusal
from service.telemetry.history.slices import (
    CPU_OVER_S,
    CPU_S,
    FRAMES,
    GAUGES,
    HIGHEST,
    IN_FLIGHT,
    LOOP_LAG_S,
    MEMORY_BYTES,
    QUEUED,
)
from service.telemetry.history.traffic import ANSWERED, FIRST_STAGE, IMAGES, LONGEST, SECONDS
from service.telemetry.history.window import SHARES, Answers, Kinds, Window
from service.telemetry.stages import STAGES


def request_series(window: Window, kinds: Kinds, answers: Answers) -> Requests:
    """Rates."""
    step_s = window.step_s
    return {
        "rate": (kinds.requests.sum(0) / step_s).tolist(),
        "errors": (kinds.per_point(is_fault) / step_s).tolist(),
        "refused": (kinds.per_point(is_refusal) / step_s).tolist(),
        "images": (answers.sums[:, IMAGES] / step_s).tolist(),
    }


def latency_series(answers: Answers) -> Latency:
    """Percentiles."""
    p50, p95, p99 = _milliseconds(np.minimum(answers.times, answers.sums[:, LONGEST, None]))
    return {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99}


def stage_series(answers: Answers) -> StageSeries:
    """Means."""
    means = _milliseconds(_means(answers.sums)[:, 1:])
    return cast("StageSeries", dict(zip(STAGES, means, strict=True)))


def window_totals(kinds: Kinds, answers: Answers) -> WindowTotals:
    """Figures of all points."""
    totals = kinds.totals()

    def by(part: int) -> dict[str, int]:
        counts: dict[str, int] = {}
        for kind, count in totals:
            counts[kind[part]] = counts.get(kind[part], 0) + count
        counts.pop("", None)
        return counts

    return {
        "requests": sum(count for _, count in totals),
        "images": int(answers.whole[0, IMAGES]),
        "errors": sum(count for kind, count in totals if is_fault(kind)),
        "refused": sum(count for kind, count in totals if is_refusal(kind)),
        "total_ms": _total_times(answers),
        "stages_ms": _stage_times(answers),
        "codes": by(4),
        "reasons": by(5),
        "transports": by(3),
        "tasks": by(0),
    }


def gauge_series(window: Window, gauges: Gauges) -> GaugeSeries:
    """The service's gauges."""
    rows = np.array([part.gauges for part in window.slices]).reshape(-1, GAUGES)
    highest = np.full((window.count, HIGHEST), np.nan)
    np.fmax.at(highest, window.points, rows[:, :HIGHEST])
    used, over = (window.sums(rows[:, column]) for column in (CPU_S, CPU_OVER_S))
    cores = np.divide(used, over, out=np.full(window.count, np.nan), where=over > 0)
    if window.step_s == 1:
        # Who looks once a second is now and then a little late, and misses one.
        highest[1:] = np.where(np.isnan(highest[1:]), highest[:-1], highest[1:])
        cores[1:] = np.where(np.isnan(cores[1:]), cores[:-1], cores[1:])
    return {
        "in_flight": with_gaps(highest[:, IN_FLIGHT]),
        "in_flight_limit": gauges.in_flight_limit,
        "queue_depth": with_gaps(highest[:, QUEUED]),
        "event_loop_lag_ms": with_gaps(highest[:, LOOP_LAG_S] * 1e3),
        "memory_bytes": with_gaps(highest[:, MEMORY_BYTES]),
        "cpu": with_gaps(cores),
    }


def video_figures(window: Window, gauges: Gauges) -> Video:
    """Frames, and how far behind live streams are."""
    frames = np.array([part.frames for part in window.slices]).reshape(-1, len(FRAMES))
    rates = [(window.sums(counts) / window.step_s).tolist() for counts in frames.T]
    lags = [part.lag for part in window.slices]
    points = np.repeat(window.points, [len(lag.lengths) for lag in lags])
    p50, p99 = _milliseconds(added_percentiles(lags, points, window.count, (0.5, 0.99)))
    return {
        "jobs_running": gauges.jobs_running,
        "jobs_waiting": gauges.jobs_waiting,
        "streams": gauges.streams,
        "frames": cast("FrameSeries", dict(zip(FRAMES, rates, strict=True))),
        "lag_ms": {"p50": p50, "p99": p99},
    }


def capped_percentiles(latency: Floats, sums: Floats) -> Floats:
    """Percentiles [rows, SHARES] of histograms [rows, BUCKETS]; none is longer than the longest request."""
    return np.minimum(percentiles(latency, SHARES), sums[:, LONGEST, None])


def with_gaps(values: Floats) -> Gaps:
    """Values with null for NaN; small parts of them are noise."""
    rounded = np.round(values, 3).astype(object)
    rounded[np.isnan(values)] = None
    found: Gaps = rounded.tolist()
    return found


def _milliseconds(seconds: Floats) -> list[Gaps]:
    """By column, of seconds [points, columns]."""
    return [with_gaps(column * 1e3) for column in seconds.T]


def _means(sums: Floats) -> Floats:
    """Mean seconds [rows, 1 + stages] of whole requests and of each stage; NaN in rows without any."""
    answered = sums[:, ANSWERED, None]
    times = sums[:, [SECONDS, *range(FIRST_STAGE, FIRST_STAGE + len(STAGES))]]
    means: Floats = np.divide(times, answered, out=np.full(times.shape, np.nan), where=answered > 0)
    return means


def _total_times(answers: Answers) -> TotalTimes | None:
    if not answers.names:
        return None
    whole = answers.whole
    mean = _means(whole)[0, 0]
    shares = capped_percentiles(answers.version_latency.sum(0, keepdims=True), whole)[0]
    mean_ms, p50, p95, p99, longest = np.round(np.array([mean, *shares, whole[0, LONGEST]]) * 1e3, 3).tolist()
    return {"mean": mean_ms, "p50": p50, "p95": p95, "p99": p99, "max": longest}


def _stage_times(answers: Answers) -> StageTimes | None:
    if not answers.names:
        return None
    means = _means(answers.whole)[0, 1:, None]
    rows = np.round(np.hstack([means, percentiles(answers.stages, SHARES)]) * 1e3, 3).tolist()
    times = [dict(zip(("mean", "p50", "p95", "p99"), row, strict=True)) for row in rows]
    return cast("StageTimes", dict(zip(STAGES, times, strict=True)))
