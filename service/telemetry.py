"""Every metric of the service, declared once."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

STAGES = ("fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode")
"""The stages of a request, in order; together they are its whole time in the service."""

_STAGE_BUCKETS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
_SHARE_BUCKETS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
_BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


@dataclass(slots=True)
class Stages:
    """Seconds that a request has spent in each stage."""

    fetch: float = 0.0
    decode: float = 0.0
    preprocess: float = 0.0
    queue: float = 0.0
    compute: float = 0.0
    postprocess: float = 0.0
    encode: float = 0.0

    def as_milliseconds(self) -> dict[str, float]:
        """By stage, with their sum as ``total``."""
        seconds = {stage: getattr(self, stage) for stage in STAGES}
        times = {stage: round(value * 1e3, 3) for stage, value in seconds.items()}
        times["total"] = round(sum(seconds.values()) * 1e3, 3)
        return times

    def as_server_timing(self) -> str:
        """By stage, as the header ``Server-Timing`` has them."""
        return ", ".join(f"{stage};dur={getattr(self, stage) * 1e3:.3f}" for stage in STAGES)


@dataclass(frozen=True, slots=True)
class VersionMetrics:
    """The metrics of one version, looked up once: finding a labelled child costs more than counting."""

    stages: tuple[Histogram, ...]
    images: Counter
    batch_size: Histogram
    queue_depth: Gauge

    def observe(self, stages: Stages, images: int) -> None:
        """Count a finished request."""
        for stage, histogram in zip(STAGES, self.stages, strict=True):
            histogram.observe(getattr(stages, stage))
        self.images.inc(images)


class Telemetry:
    """The metrics and the registry that they live in; each application has its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        version = ["task", "model", "version"]
        self.requests = Counter("vitrail_requests", "Requests answered.", [*version, "code"], registry=registry)
        self.rejections = Counter(
            "vitrail_rejections", "Requests refused, by kind of error.", ["task", "reason"], registry=registry
        )
        self.in_flight = Gauge("vitrail_images_in_flight", "Images admitted and not yet answered.", registry=registry)
        self.ready = Gauge(
            "vitrail_version_ready", "1 if the version takes traffic.", ["model", "version"], registry=registry
        )
        self.memory = Gauge(
            "vitrail_version_memory_bytes",
            "Memory that a loaded version takes: its files, or what the process grew by as it was loaded.",
            ["model", "version"],
            registry=registry,
        )
        self.evictions = Counter("vitrail_evictions", "Versions that gave their memory to others.", registry=registry)
        self.loads = Counter("vitrail_loads", "Versions loaded, by outcome.", ["outcome"], registry=registry)
        self.engines = Gauge(
            "vitrail_version_engine",
            "1 for the ONNX Runtime provider that a version runs on.",
            ["model", "version", "provider"],
            registry=registry,
        )
        self.replicas = Gauge(
            "vitrail_triton_replica_up", "1 if this Triton takes traffic.", ["replica"], registry=registry
        )
        self.retries = Counter(
            "vitrail_triton_retries", "Requests that went to another Triton, by cause.", ["cause"], registry=registry
        )
        self.repairs = Counter(
            "vitrail_triton_repairs",
            "Models loaded anew into a Triton that had lost them.",
            ["model"],
            registry=registry,
        )
        trial = ["model", "version"]
        self.faults = Counter(
            "vitrail_version_faults",
            "Requests that a version got by its share and could not answer; stable answers in its stead.",
            trial,
            registry=registry,
        )
        self.copies = Counter(
            "vitrail_copies",
            "Copies of requests, made to compare a version with another; by outcome.",
            [*trial, "outcome"],
            registry=registry,
        )
        self.disagreement = Histogram(
            "vitrail_disagreement",
            "Share of an answer in which a version differs from stable on the same image.",
            trial,
            buckets=_SHARE_BUCKETS,
            registry=registry,
        )
        self.disagreement_figures = Summary(
            "vitrail_disagreement_figure",
            "How a version differs from stable, in the task's own figures.",
            [*trial, "figure"],
            registry=registry,
        )
        self.rollbacks = Counter(
            "vitrail_rollbacks",
            "Shares of traffic that went back to stable, by the rule that was broken.",
            ["model", "alias", "rule"],
            registry=registry,
        )
        self.video_jobs = Counter(
            "vitrail_video_jobs", "Video jobs that came into a state.", ["state"], registry=registry
        )
        self.video_jobs_now = Gauge(
            "vitrail_video_jobs_now", "Video jobs that wait or run at this moment.", ["state"], registry=registry
        )
        self.video_frames = Counter(
            "vitrail_video_frames",
            "Results of video jobs: given by a model, or carried over from an earlier frame, which saves the model.",
            ["outcome"],
            registry=registry,
        )
        self.video_retries = Counter(
            "vitrail_video_retries", "Video jobs that lost their engine and went on.", registry=registry
        )
        self.video_removed = Counter(
            "vitrail_video_removed_bytes", "Disk that video jobs gave back as they were removed.", registry=registry
        )
        self.video_disk = Gauge("vitrail_video_disk_bytes", "Disk that video jobs take.", registry=registry)
        self.webhooks = Counter(
            "vitrail_video_webhooks",
            "Callers told of the end of their job, by outcome.",
            ["outcome"],
            registry=registry,
        )
        self.streams = Counter("vitrail_streams", "Live streams that came into a state.", ["state"], registry=registry)
        self.streams_now = Gauge("vitrail_streams_now", "Live streams that have not ended.", registry=registry)
        self.stream_frames = Counter(
            "vitrail_stream_frames", "Frames of live streams, by what became of them.", ["outcome"], registry=registry
        )
        self.stream_reconnections = Counter(
            "vitrail_stream_reconnections", "Connections to a live source after its first.", registry=registry
        )
        self.stream_lag = Histogram(
            "vitrail_stream_lag_seconds",
            "From a live frame's arrival to its result.",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        self._stages = Histogram(
            "vitrail_stage_seconds",
            "Time of a request in each stage.",
            [*version, "stage"],
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self._images = Counter("vitrail_images", "Images answered.", version, registry=registry)
        self._batch_size = Histogram(
            "vitrail_batch_size",
            "Images in the batches sent to the engine.",
            version[1:],
            buckets=_BATCH_BUCKETS,
            registry=registry,
        )
        self._queue_depth = Gauge(
            "vitrail_queue_depth", "Images that wait for the engine.", version[1:], registry=registry
        )

    def of_version(self, task: str, model: str, version: int) -> VersionMetrics:
        """The metrics of one version."""
        labels = (task, model, str(version))
        return VersionMetrics(
            stages=tuple(self._stages.labels(*labels, stage) for stage in STAGES),
            images=self._images.labels(*labels),
            batch_size=self._batch_size.labels(*labels[1:]),
            queue_depth=self._queue_depth.labels(*labels[1:]),
        )

    def exposition(self) -> tuple[bytes, str]:
        """All metrics as OpenMetrics text, and its content type."""
        text: bytes = generate_latest(self.registry)  # type: ignore[no-untyped-call]
        return text, CONTENT_TYPE_LATEST
