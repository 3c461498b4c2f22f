"""What the history tells, as it is sent; every list over time has one value a point."""

from typing_extensions import TypedDict

Series = list[float]
Gaps = list[float | None]
"""Null where there was nothing to measure."""


class Requests(TypedDict):
    """A second, on average over the point."""

    rate: Series
    errors: Series
    refused: Series
    images: Series


class Latency(TypedDict):
    """Whole times of answered requests, in milliseconds."""

    p50_ms: Gaps
    p95_ms: Gaps
    p99_ms: Gaps


class StageSeries(TypedDict):
    """Mean milliseconds of answered requests in each stage."""

    fetch: Gaps
    decode: Gaps
    preprocess: Gaps
    queue: Gaps
    compute: Gaps
    postprocess: Gaps
    encode: Gaps


class Times(TypedDict):
    """Milliseconds."""

    mean: float
    p50: float
    p95: float
    p99: float


class TotalTimes(Times):
    """Milliseconds."""

    max: float


class StageTimes(TypedDict):
    """Of answered requests in each stage."""

    fetch: Times
    decode: Times
    preprocess: Times
    queue: Times
    compute: Times
    postprocess: Times
    encode: Times


class WindowTotals(TypedDict):
    """All points together."""

    requests: int
    images: int
    errors: int
    refused: int
    total_ms: TotalTimes | None
    stages_ms: StageTimes | None
    codes: dict[str, int]
    reasons: dict[str, int]
    transports: dict[str, int]
    tasks: dict[str, int]


class BatchSizes(TypedDict):
    """Batches that were run within the window, by their size."""

    mean: float | None
    sizes: dict[str, int]


class VersionTotals(TypedDict):
    """A version within the window; its queue and its readiness at this moment."""

    task: str
    model: str
    version: str
    aliases: list[str]
    share: float
    requests: int
    images: int
    errors: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    batch: BatchSizes
    queue_depth: int
    ready: bool


class GaugeSeries(TypedDict):
    """The whole service's, whatever is asked for; the highest values of each point, processor cores on average."""

    in_flight: Gaps
    in_flight_limit: int
    queue_depth: Gaps
    event_loop_lag_ms: Gaps
    memory_bytes: Gaps
    cpu: Gaps


class FrameSeries(TypedDict):
    """Frames of video jobs and live streams, a second."""

    processed: Series
    carried: Series
    dropped: Series


class LagSeries(TypedDict):
    """From a live frame's arrival to its result, in milliseconds."""

    p50: Gaps
    p99: Gaps


class Video(TypedDict):
    """The whole service's, whatever is asked for."""

    jobs_running: int
    jobs_waiting: int
    streams: int
    frames: FrameSeries
    lag_ms: LagSeries


class HistoryAnswer(TypedDict):
    """The last seconds to the last hour, in points of equal length."""

    now: float
    window_s: int
    step_s: int
    times: list[float]
    requests: Requests
    latency: Latency
    stages: StageSeries
    window: WindowTotals
    versions: list[VersionTotals]
    gauges: GaugeSeries
    video: Video
