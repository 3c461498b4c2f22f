"""Every metric of the service, declared once."""

import math
import os
from collections.abc import Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    multiprocess,
)
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from service.errors import ErrorKind
from service.telemetry.account import Account, Ended, Listener, Transport
from service.telemetry.declaration import Declaration
from service.telemetry.history import History
from service.telemetry.stages import STAGES
from service.telemetry.tracing import CURRENT, NO_TRACING, Tracing

_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip
_LAG_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
_SHARE_BUCKETS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
_BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable of prometheus_client: processes that have it in common have their metrics in common."""
_VERSION = ("task", "model", "version")
_MODEL = ("model", "version")


class VersionMetrics:
    """The metrics of one version, each looked up once: finding a labelled child costs more than counting.

    Attributes:
        batch_size, queue_wait: histograms; a value each batch, and each image.
        engine_seconds, wasted_seconds: counters.
        waiting: images that wait for the engine now.
        in_traffic: whether its batches are callers'; before, they prove and warm it, and are in no figure.
    """

    def __init__(self, telemetry: "Telemetry", task: str, model: str, version: int) -> None:
        self.task, self.model, self.version = task, model, str(version)
        labels = (task, model, self.version)
        self.batch_size = telemetry.batch_size.labels(*labels[1:])
        self._queue_depth = telemetry.queue_depth.labels(*labels[1:])
        self.queue_wait = telemetry.queue_wait.labels(*labels[1:])
        self.engine_seconds = telemetry.engine_seconds.labels(*labels[1:])
        self.wasted_seconds = telemetry.wasted_seconds.labels(*labels[1:])
        self.waiting = 0
        self.in_traffic = False
        self._telemetry = telemetry
        self._images = telemetry.images.labels(*labels)
        self._stages: Sequence[Histogram] = [telemetry.stages.labels(*labels, stage) for stage in STAGES]
        self._requests: dict[tuple[str, str, str], Counter] = {}
        self._durations: dict[str, Histogram] = {}

    def wait(self, images: int) -> None:
        """So many images wait for the engine now."""
        self.waiting = images
        self._queue_depth.set(images)

    def requests(self, alias: str, code: str, transport: str) -> Counter:
        """The requests that this version answered so."""
        key = alias, code, transport
        found = self._requests.get(key)
        if found is None:
            found = self._telemetry.requests.labels(self.task, self.model, self.version, alias, code, transport)
            self._requests[key] = found
        return found

    def answered(self, ended: Ended) -> None:
        """Count a request that has its answer."""
        for histogram, seconds in zip(self._stages, ended.stages.seconds, strict=True):
            histogram.observe(seconds)
        exemplar = {"trace_id": ended.trace_id} if ended.trace_id else None
        self._duration(ended.transport).observe(ended.seconds, exemplar)
        self._images.inc(ended.images)
        self.requests(ended.alias, ended.code, ended.transport).inc()

    def _duration(self, transport: str) -> Histogram:
        found = self._durations.get(transport)
        if found is None:
            found = self._telemetry.durations.labels(self.task, self.model, self.version, transport)
            self._durations[transport] = found
        return found


class Telemetry:
    """The metrics and the registry that they live in; each application has its own.

    Where several processes share the folder that ``PROMETHEUS_MULTIPROC_DIR`` names, each of them tells the figures of
    all; exemplars, and what the collectors know of a process, are not shared.

    Attributes:
        tracing: where traces begin.
        history: of the last hour, for the dashboard.
        listeners: they hear of every request that is over.
    """

    def __init__(self, codes: Mapping[ErrorKind, int] | None = None, history_s: float = 3600.0) -> None:
        """``codes`` has the HTTP status of each kind of error, for what is refused where there is no HTTP."""
        self._codes = codes or {}
        self.tracing: Tracing = NO_TRACING
        self.history = History(history_s)
        self.listeners: list[Listener] = [self.history.add]
        self.declaration = declare = Declaration()
        self.requests = declare.counter(
            "vitrail_requests",
            "Requests that are over, frames of streams among them, and those of videos, of which up to four are asked "
            "for by one request. Refused ones have no model.",
            [*_VERSION, "alias", "code", "transport"],
        )
        self.rejections = declare.counter(
            "vitrail_rejections", "Requests refused, by kind of error.", ["task", "reason", "transport"]
        )
        self.durations = declare.histogram(
            "vitrail_request_seconds",
            "Whole time of an answered request, from its first byte to its answer.",
            [*_VERSION, "transport"],
            buckets=_SECONDS,
        )
        self.stages = declare.histogram(
            "vitrail_stage_seconds",
            "Time of an answered request in each stage.",
            [*_VERSION, "stage"],
            buckets=_SECONDS,
        )
        self.images = declare.counter("vitrail_images", "Images answered.", _VERSION)
        self.decoded_pixels = declare.counter("vitrail_decoded_pixels", "Pixels of the images decoded.", ["task"])
        self.received = declare.counter("vitrail_received_bytes", "Bytes of requests' bodies.", ["transport"])
        self.sent = declare.counter("vitrail_sent_bytes", "Bytes of answers' bodies.", ["transport"])
        self.in_flight = declare.gauge(
            "vitrail_images_in_flight", "Images admitted and not yet answered.", together="livesum"
        )
        self.in_flight_limit = declare.gauge(
            "vitrail_images_in_flight_limit", "So many images are admitted; more are refused.", together="livesum"
        )
        self._declare_engine(declare)
        self._declare_versions(declare)
        self._declare_triton(declare)
        self._declare_rollout(declare)
        self._declare_videos(declare)
        self._declare_streams(declare)
        self._declare_process(declare)

    @property
    def registry(self) -> CollectorRegistry:
        """Where the metrics of this process are."""
        return self.declaration.registry

    def account(
        self,
        transport: Transport,
        task: str,
        request_id: str,
        headers: Mapping[str, str],
        name: str = "",
        begun: float | None = None,
    ) -> Account:
        """Begin the account of a request; ``name`` is its span's, where it is traced.

        ``begun`` is a moment of `time.monotonic`, where it began before somebody could ask for this.
        """
        trace = self.tracing.begin(name, headers)
        # Also None: what runs here may have answered another request before, or stem from one.
        CURRENT.set(trace)
        return Account(self, transport, task, request_id, trace, begun)

    def of_version(self, task: str, model: str, version: int) -> VersionMetrics:
        """The metrics of one version."""
        return VersionMetrics(self, task, model, version)

    def refused(self, ended: Ended) -> None:
        """Count a request that has no answer."""
        self.rejections.labels(ended.task, ended.reason, ended.transport).inc()
        self.requests.labels(ended.task, "", "", "", ended.code, ended.transport).inc()

    def video_done(self, processed: int, carried: int, skipped: int) -> None:
        """Count frames of video jobs."""
        for outcome, count in (("processed", processed), ("carried", carried), ("skipped", skipped)):
            self.video_frames.labels(outcome).inc(count)
            self.history.frames(outcome, count)

    def stream_done(self, processed: int, carried: int, dropped: int) -> None:
        """Count frames of live streams."""
        for outcome, count in (("processed", processed), ("carried", carried), ("dropped", dropped)):
            self.stream_frames.labels(outcome).inc(count)
            self.history.frames(outcome, count)

    def lagged(self, seconds: float) -> None:
        """A live frame's result came so long after the frame."""
        self.stream_lag.observe(seconds)
        self.history.lag(seconds)

    def count_pixels(self, task: str, pixels: int) -> None:
        """Count the pixels of images that were decoded for a task."""
        if pixels:
            self.decoded_pixels.labels(task).inc(pixels)

    def code_of(self, kind: ErrorKind) -> str:
        """The usual code of an error, where its transport has none of its own."""
        return str(self._codes.get(kind, 500))

    def count_bytes(self, transport: Transport, received: int, sent: int) -> None:
        """Count what came and went."""
        if received:
            self._received[transport].inc(received)
        if sent:
            self._sent[transport].inc(sent)

    def forget(self, gauge: Gauge, *labels: str) -> None:
        """What these labels stand for is there no more."""
        if os.environ.get(_SHARED_FOLDER):
            # The file that processes share loses no series; it has no figure from now on.
            gauge.labels(*labels).set(math.nan)
        else:
            gauge.remove(*labels)

    def close(self) -> None:
        """The process ends: its gauges are no part any more of those that processes have in common."""
        if os.environ.get(_SHARED_FOLDER):
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]

    def exposition(self) -> tuple[bytes, str]:
        """All metrics as OpenMetrics text, and its content type."""
        registry = self.registry
        if os.environ.get(_SHARED_FOLDER):
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
        return text, CONTENT_TYPE_LATEST

    def _declare_engine(self, declare: Declaration) -> None:
        self.batch_size = declare.histogram(
            "vitrail_batch_size", "Images in the batches sent to the engine.", _MODEL, buckets=_BATCH_BUCKETS
        )
        self.queue_depth = declare.gauge(
            "vitrail_queue_depth", "Images that wait for the engine.", _MODEL, together="livesum"
        )
        self.queue_wait = declare.histogram(
            "vitrail_queue_wait_seconds", "Time of each image from its queue to its batch.", _MODEL, buckets=_SECONDS
        )
        self.engine_seconds = declare.counter(
            "vitrail_engine_seconds", "Time of the threads that ran batches; 1 a second is one of them busy.", _MODEL
        )
        self.wasted_seconds = declare.counter(
            "vitrail_wasted_engine_seconds", "Of that, for images whose caller had left before the answer.", _MODEL
        )

    def _declare_versions(self, declare: Declaration) -> None:
        self.ready = declare.gauge("vitrail_version_ready", "1 if the version takes traffic.", _MODEL)
        self.certified = declare.gauge(
            "vitrail_version_certified", "1 if the version has a certificate: it was proved against its source.", _MODEL
        )
        self.memory = declare.gauge(
            "vitrail_version_memory_bytes",
            "Memory that a loaded version takes: its files, or what the process grew by as it was loaded.",
            _MODEL,
            together="livesum",
        )
        self.engines = declare.gauge(
            "vitrail_version_engine",
            "1 for the ONNX Runtime provider that a version runs on.",
            [*_MODEL, "provider"],
        )
        self.load_seconds = declare.gauge("vitrail_load_seconds", "Time that the last load of a version took.", _MODEL)
        self.loads = declare.counter("vitrail_loads", "Versions loaded, by outcome.", ["outcome"])
        self.evictions = declare.counter("vitrail_evictions", "Versions that gave their memory to others.")
        self.shares = declare.gauge(
            "vitrail_traffic_share",
            "Share, 0 to 1, that an alias gets of a model's requests that name no alias and no version.",
            ["model", "alias", "version"],
        )

    def _declare_triton(self, declare: Declaration) -> None:
        self.replicas = declare.gauge("vitrail_triton_replica_up", "1 if this Triton takes traffic.", ["replica"])
        self.retries = declare.counter(
            "vitrail_triton_retries", "Requests that went to another Triton, by cause.", ["cause"]
        )
        self.repairs = declare.counter(
            "vitrail_triton_repairs", "Models loaded anew into a Triton that had lost them.", ["model"]
        )
        self.degraded = declare.gauge(
            "vitrail_degraded", "1 while the embedded engine answers for a version, because no Triton does.", _MODEL
        )

    def _declare_rollout(self, declare: Declaration) -> None:
        self.faults = declare.counter(
            "vitrail_version_faults",
            "Requests that a version got by its share and could not answer; stable answers in its stead.",
            _MODEL,
        )
        self.copies = declare.counter(
            "vitrail_copies",
            "Copies of requests, made to compare a version with another; by outcome.",
            [*_MODEL, "outcome"],
        )
        self.disagreement = declare.histogram(
            "vitrail_disagreement",
            "Share of an answer in which a version differs from stable on the same image.",
            _MODEL,
            buckets=_SHARE_BUCKETS,
        )
        self.disagreement_figures = declare.summary(
            "vitrail_disagreement_figure",
            "How a version differs from stable, in the task's own figures.",
            [*_MODEL, "figure"],
        )
        self.rollbacks = declare.counter(
            "vitrail_rollbacks",
            "Shares of traffic that went back to stable, by the rule that was broken.",
            ["model", "alias", "rule"],
        )

    def _declare_videos(self, declare: Declaration) -> None:
        self.video_jobs = declare.counter("vitrail_video_jobs", "Video jobs that came into a state.", ["state"])
        self.video_jobs_now = declare.gauge(
            "vitrail_video_jobs_now", "Video jobs that wait or run at this moment.", ["state"], together="livesum"
        )
        self.video_frames = declare.counter(
            "vitrail_video_frames",
            "Frames of video jobs: given to a model; carried over from an earlier frame, which saves the model; or "
            "skipped by the sampling, without a result.",
            ["outcome"],
        )
        self.video_retries = declare.counter("vitrail_video_retries", "Video jobs that lost their engine and went on.")
        self.video_removed = declare.counter(
            "vitrail_video_removed_bytes", "Disk that video jobs gave back as they were removed."
        )
        self.video_disk = declare.gauge("vitrail_video_disk_bytes", "Disk that video jobs take.", together="livesum")
        self.webhooks = declare.counter(
            "vitrail_video_webhooks", "Callers told of the end of their job, by outcome.", ["outcome"]
        )

    def _declare_streams(self, declare: Declaration) -> None:
        self.streams = declare.counter("vitrail_streams", "Live streams that came into a state.", ["state"])
        self.streams_now = declare.gauge("vitrail_streams_now", "Live streams that have not ended.", together="livesum")
        self.stream_frames = declare.counter(
            "vitrail_stream_frames", "Frames of live streams, by what became of them.", ["outcome"]
        )
        self.stream_reconnections = declare.counter(
            "vitrail_stream_reconnections", "Connections to a live source after its first."
        )
        self.stream_lag = declare.histogram(
            "vitrail_stream_lag_seconds", "From a live frame's arrival to its result.", buckets=_LAG_BUCKETS
        )

    def _declare_process(self, declare: Declaration) -> None:
        self.loop_lag = declare.gauge(
            "vitrail_event_loop_lag_seconds",
            "How late the event loop was in the last second, at worst.",
            together="livemax",
        )
        self.build = declare.gauge("vitrail_build_info", "1, for the version of Vitrail that runs.", ["version"])
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=declare.registry)
        self._received = {transport: self.received.labels(transport) for transport in Transport}
        self._sent = {transport: self.sent.labels(transport) for transport in Transport}
