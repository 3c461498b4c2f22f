"""Looks at the service once a second: what no request tells, because it is so whether or not there are requests."""

import asyncio
import time
from dataclasses import dataclass, field

from service.inference import Inference
from service.registry.registry import Registry
from service.registry.routing import STABLE
from service.registry.traffic import ModelTraffic
from service.registry.version import Version
from service.resident_memory import resident_bytes
from service.telemetry import Telemetry
from service.telemetry.history.gauges import Gauges, ReadyVersion
from service.video.job import JobState
from service.video.jobs import Jobs
from service.video.streams import Streams

_EVERY_S = 1.0
_LOOK_S = 0.1
"""Between two looks at the event loop's clock."""

Share = tuple[str, str, str]
"""Model, alias, version."""


@dataclass(slots=True)
class Watch:
    """Sets the gauges that nobody else sets, and tells the history how the service stands."""

    registry: Registry
    telemetry: Telemetry
    inference: Inference
    jobs: Jobs
    streams: Streams
    _shares: dict[Share, float] = field(default_factory=dict)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            lag_s = await _worst_lag_s(_EVERY_S)
            self._tell_shares()
            self._tell_videos()
            self.telemetry.loop_lag.set(lag_s)
            self.telemetry.history.sample(self._gauges(lag_s))

    def _tell_videos(self) -> None:
        self.telemetry.video_jobs_now.labels(JobState.QUEUED).set(self.jobs.waiting)
        self.telemetry.video_jobs_now.labels(JobState.RUNNING).set(self.jobs.running)
        self.telemetry.video_disk.set(self.jobs.disk_bytes)
        self.telemetry.streams_now.set(self.streams.running)

    def _gauges(self, lag_s: float) -> Gauges:
        loaded = [version.loaded for version in self.registry.versions() if version.loaded is not None]
        return Gauges(
            in_flight=self.inference.in_flight,
            in_flight_limit=self.inference.most_in_flight,
            queue_depths={(one.metrics.model, one.metrics.version): one.metrics.waiting for one in loaded},
            versions=[self._ready(version) for version in self.registry.versions() if version.loaded is not None],
            event_loop_lag_s=lag_s,
            memory_bytes=resident_bytes(),
            cpu_s=time.process_time(),
            jobs_running=self.jobs.running,
            jobs_waiting=self.jobs.waiting,
            streams=self.streams.running,
        )

    def _ready(self, version: Version) -> ReadyVersion:
        traffic = self.registry.traffic(version.model)
        names = sorted(traffic.aliases.keys() | {STABLE})
        aliases = [name for name in names if self.registry.aliased(version.model, name) is version.loaded]
        task = version.card.task if version.card is not None else ""
        return ReadyVersion(task, version.model, str(version.number), aliases)

    def _tell_shares(self) -> None:
        shares = {
            (model, alias, str(loaded.card.version)): share
            for model in self.registry.models()
            for alias, share in shares_of(self.registry.traffic(model)).items()
            if (loaded := self.registry.aliased(model, alias)) is not None
        }
        if shares == self._shares:
            return
        for gone in self._shares.keys() - shares.keys():
            self.telemetry.forget(self.telemetry.shares, *gone)
        for labels, share in shares.items():
            self.telemetry.shares.labels(*labels).set(share)
        self._shares = shares


def shares_of(traffic: ModelTraffic) -> dict[str, float]:
    """By alias the share, 0 to 1, of the requests that name none; all to ``stable`` where nothing is said."""
    whole = sum(traffic.weights.values())
    return {alias: weight / whole for alias, weight in traffic.weights.items()} if whole else {STABLE: 1.0}


async def _worst_lag_s(seconds: float) -> float:
    """How late a short sleep ended within so many seconds, at worst."""
    worst_s, end = 0.0, time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        await asyncio.sleep(_LOOK_S)
        worst_s = max(worst_s, time.monotonic() - begun - _LOOK_S)
    return worst_s
