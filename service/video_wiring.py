"""Settings → the parts that deal with videos; `service.app` puts them in their places."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from service.engines.cpus import available_cpus
from service.inference import Inference
from service.settings import Settings
from service.telemetry import Telemetry
from service.url_policy import UrlPolicy
from service.video.download import Download
from service.video.job import Job
from service.video.job_events import JobEvents
from service.video.job_limits import JobLimits
from service.video.jobs import Jobs
from service.video.live_events import StreamEvents
from service.video.live_limits import LiveLimits
from service.video.opening import VideoOptions
from service.video.patient_inference import Patience
from service.video.pinned_transport import PinnedTransport
from service.video.pipeline import VideoWork
from service.video.probe import Probe
from service.video.streams import Streams
from service.video.webhook import Webhook

_log = logging.getLogger("vitrail.video")

_MOST_DECODERS = 4
"""Threads of one video's decoder; of more it makes no use while a model computes, and each holds frames."""


def video_options(settings: Settings) -> VideoOptions:
    """How videos are read."""
    threads = settings.video_decoder_threads or min(_MOST_DECODERS, available_cpus())
    return VideoOptions(threads=threads, hardware=settings.video_hardware, max_pixels=settings.max_pixels)


def live_options(settings: Settings) -> VideoOptions:
    """How live sources are read: each further thread of a decoder would hold a frame back."""
    return replace(video_options(settings), threads=settings.video_decoder_threads or 1)


class VideoJobs:
    """The jobs of a service, from its start to its end; without a folder that can be used, there are none."""

    def __init__(
        self,
        settings: Settings,
        inference: Inference,
        telemetry: Telemetry,
        policy: UrlPolicy,
        links: Callable[[Job], Mapping[str, Any]],
    ) -> None:
        self._folder = settings.videos
        self._webhook = Webhook(policy.check, links, transport=PinnedTransport(policy.address))
        limits = JobLimits(
            running=settings.video_jobs,
            waiting=settings.video_queue,
            upload_bytes=settings.video_max_bytes,
            disk_bytes=settings.video_disk_bytes,
            min_free_bytes=settings.video_min_free_bytes,
            max_age_s=settings.video_keep_s,
        )
        # Half of what may be answered at a time is kept for callers.
        half = max(1, settings.max_images_in_flight // 2)
        patience = Patience(busy_from=min(Patience().busy_from, half))
        work = VideoWork(inference, video_options(settings), patience, most_frames=half)
        self.jobs = Jobs(settings.videos, work, limits, events=_events(telemetry), webhook=self._webhook)
        self.probe = Probe(video_options(settings))
        self.download = Download(policy.check, transport=PinnedTransport(policy.address))
        self._closed: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Go on with what was left; images are served also where that fails."""
        try:
            await self.jobs.start()
        except (sqlite3.Error, OSError, ValueError) as error:
            self.jobs.unavailable = "this service takes no videos: its folder for them cannot be used; see its log"
            _log.error("no video jobs, for --videos %s cannot be used: %s", self._folder, error)

    async def close(self, drain_s: float) -> None:
        """Stop; what was under way goes on at the next start. May be called more than once."""
        if self._closed is None:
            self._closed = asyncio.create_task(self._close(drain_s))
        await asyncio.shield(self._closed)

    async def _close(self, drain_s: float) -> None:
        await self.jobs.close(drain_s)
        await self.download.close()
        await self._webhook.close()


def _events(telemetry: Telemetry) -> JobEvents:
    return JobEvents(
        entered=lambda state: telemetry.video_jobs.labels(state).inc(),
        frames=telemetry.video_done,
        retried=telemetry.video_retries.inc,
        removed=telemetry.video_removed.inc,
        webhook=lambda taken: telemetry.webhooks.labels("taken" if taken else "failed").inc(),
    )


def live_streams(
    settings: Settings, inference: Inference, telemetry: Telemetry, policy: UrlPolicy, workers: Executor
) -> Streams:
    """The live streams of a service."""
    limits = LiveLimits(streams=settings.max_streams, streams_per_owner=settings.max_streams_per_caller)
    return Streams(inference, live_options(settings), limits, policy, workers, events=_stream_events(telemetry))


def _stream_events(telemetry: Telemetry) -> StreamEvents:
    return StreamEvents(
        entered=lambda state: telemetry.streams.labels(state).inc(),
        frames=telemetry.stream_done,
        reconnected=telemetry.stream_reconnections.inc,
        lag=telemetry.lagged,
    )
