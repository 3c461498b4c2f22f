"""Jobs over video files, plain and asynchronous."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import httpx

from vitrail_client._connection import AsyncRest, Request, Rest, of_type
from vitrail_client._errors import VitrailError
from vitrail_client._ndjson import Line, Place, lines_in, lines_in_async
from vitrail_client._retries import Outage, ask, ask_async, move, move_async
from vitrail_client._saving import PIECE, saved
from vitrail_client._tasks import VideoTask
from vitrail_client._video_file import Source, Video, address_in
from vitrail_client._video_requests import (
    OVER,
    Sample,
    annotated_of,
    cancellation,
    job_in,
    jobs_in,
    page_of,
    removal,
    results_of,
    status_of,
    still_runs,
    submission,
    with_body,
)
from vitrail_client.schemas import JobState, VideoAnswer, VideosAnswer

_SUBMIT_S = 300.0


class Videos:
    """A service's video jobs. Each method raises `VitrailError` where there is no answer."""

    def __init__(self, rest: Rest, timeout_s: float, retries: int) -> None:
        self._rest = rest
        self._timeout_s = timeout_s
        self._retries = retries

    def submit(
        self,
        video: Video,
        *,
        task: VideoTask,
        model: str | None = None,
        fps: float | None = None,
        sample: Sample | None = None,
        threshold: float | None = None,
        max_gap_s: float | None = None,
        window_s: float | None = None,
        overlap: float | None = None,
        track: bool | Mapping[str, Any] | None = None,
        reidentify: bool | Mapping[str, Any] | None = None,
        counts: Mapping[str, Any] | None = None,
        annotate: bool = False,
        window: int | None = None,
        webhook: str | None = None,
        idempotency_key: str | None = None,
        timeout_s: float = _SUBMIT_S,
        **parameters: Any,
    ) -> VideoAnswer:
        """Send a video in and have it queued; how it stands is returned at once.

        Args:
            video: A path, which is read piece by piece; bytes; an open file, which is read from where it stands; or
                an address that the service fetches it from, if its operator allows that.
            task: What is looked for in its frames.
            model: name, name@alias or name:version; without it the task's default.
            fps: At most so many frames a second are processed.
            sample: Which frames are processed; without it all of them.
            threshold: How much a frame must differ, 0…1; with ``sample`` scene or event.
            max_gap_s: At most so many seconds between two processed frames; with ``sample`` event.
            window_s: Seconds that a window covers; with ``task`` classify-video.
            overlap: The part of a window that the next one covers again; with ``task`` classify-video.
            track: Objects get a ``track_id``; True, or how they are tracked.
            reidentify: Who comes back has the id of before, by how they look: True, or how; with ``track``.
            counts: Lines and zones, whose crossings are counted; with ``track``.
            annotate: Make an MP4 with the findings drawn in, too; see `annotated`.
            window: So many frames are under way at a time.
            webhook: An address that the service tells of the end, if its operator allows that.
            idempotency_key: Of one's own choice: the same request again, with the same video, is the same job. One is
                made where there is none, so that a try which is repeated makes no second job.
            timeout_s: Seconds that a try may be silent: that nothing can be sent, or no answer comes.
            **parameters: The task's own.

        Raises:
            VitrailError: The service does not take it.
            OSError: The file cannot be read.
            TypeError: It is no video at all.
        """
        asked: dict[str, Any] = {"task": task, "model": model, "fps": fps, "sample": sample, "threshold": threshold}
        asked |= {"max_gap_s": max_gap_s, "track": track, "reidentify": reidentify, "counts": counts}
        asked |= {"window_s": window_s, "overlap": overlap, "window": window, "webhook": webhook}
        asked["annotate"] = annotate or None
        request = submission(asked, parameters, idempotency_key)
        if (url := address_in(video)) is not None:
            return self._send_in(with_body(request, {"json": {"url": url}}), timeout_s)
        source = Source.of(video)

        def attempt() -> VideoAnswer:
            with source.request() as body:
                return job_in(self._rest.upload(with_body(request, body), timeout_s))

        return move(attempt, timeout_s, self._retries if source.again else 0)

    def _send_in(self, request: Request, timeout_s: float) -> VideoAnswer:
        return move(lambda: job_in(self._rest.send(request, timeout_s)), timeout_s, self._retries)

    def get(self, job_id: str) -> VideoAnswer:
        """How a job stands."""
        return job_in(self._ask(status_of(job_id)))

    def list(self, limit: int = 20, before: str | None = None, state: JobState | None = None) -> VideosAnswer:
        """Jobs, the newest first: ``limit`` at most; ``next`` of the answer is ``before`` for those that follow."""
        return jobs_in(self._ask(page_of(limit, before, state)))

    def results(self, job_id: str, from_frame: int = 0) -> Generator[Line, None, None]:
        """What was found, a line a frame, from that frame on; while the job runs, as its frames are done.

        Where the connection breaks, or the service is started again, they go on behind the last line, unless that
        takes longer than the client's ``timeout_s``, or its ``retries`` are 0. They end when the job does; `get` says
        how it ended.
        """
        place = Place(from_frame, self._timeout_s, self._retries)
        while True:
            failure = None
            try:
                with self._rest.opened(results_of(job_id, place.from_frame), self._timeout_s) as response:
                    place.opened()
                    for line in lines_in(response):
                        yield place.take(line)
                if self.get(job_id)["state"] in OVER:
                    return
            except VitrailError as error:
                failure = error
            time.sleep(place.pause_s(failure))

    def wait(self, job_id: str, timeout_s: float | None = None) -> VideoAnswer:
        """How a job stands once it has ended: done, failed or cancelled.

        Raises:
            VitrailError: deadline_exceeded if it has not ended within ``timeout_s`` seconds; without them there is no
                such limit. The service may be away meanwhile, as with `results`.
        """
        begun_s = time.monotonic()
        outage = Outage(self._timeout_s, self._retries)
        pauses = _pauses()
        while True:
            try:
                job = job_in(self._rest.send(status_of(job_id), self._timeout_s))
            except VitrailError as error:
                time.sleep(outage.pause_s(error))
                continue
            outage.ended()
            if job["state"] in OVER:
                return job
            time.sleep(_within(timeout_s, begun_s, next(pauses), job))

    def annotated(self, job_id: str, to_path: str | PathLike[str]) -> Path:
        """Save the video with what was found drawn in, as an MP4, and return its path; once the job has ended.

        Raises:
            VitrailError: conflict while the job has not ended; not_found where no such video was asked for.
            OSError: It cannot be written there.
        """

        def attempt() -> Path:
            with self._rest.opened(annotated_of(job_id), self._timeout_s) as response, saved(to_path) as file:
                for piece in of_type(response, "video/").iter_bytes(PIECE):
                    file.write(piece)
            return Path(to_path)

        return move(attempt, self._timeout_s, self._retries)

    def cancel(self, job_id: str) -> VideoAnswer:
        """End a job's work; what was done is kept."""
        return job_in(self._ask(cancellation(job_id)))

    def delete(self, job_id: str) -> None:
        """End a job, and remove all of it from the service."""
        self._ask(removal(job_id))

    def _ask(self, request: Request) -> httpx.Response:
        return ask(lambda left_s: self._rest.send(request, left_s), self._timeout_s, self._retries)


class AsyncVideos:
    """`Videos`, asynchronous: the same arguments and methods."""

    def __init__(self, rest: AsyncRest, timeout_s: float, retries: int) -> None:
        self._rest = rest
        self._timeout_s = timeout_s
        self._retries = retries

    async def submit(
        self,
        video: Video,
        *,
        task: VideoTask,
        model: str | None = None,
        fps: float | None = None,
        sample: Sample | None = None,
        threshold: float | None = None,
        max_gap_s: float | None = None,
        window_s: float | None = None,
        overlap: float | None = None,
        track: bool | Mapping[str, Any] | None = None,
        reidentify: bool | Mapping[str, Any] | None = None,
        counts: Mapping[str, Any] | None = None,
        annotate: bool = False,
        window: int | None = None,
        webhook: str | None = None,
        idempotency_key: str | None = None,
        timeout_s: float = _SUBMIT_S,
        **parameters: Any,
    ) -> VideoAnswer:
        """See `Videos.submit`."""
        asked: dict[str, Any] = {"task": task, "model": model, "fps": fps, "sample": sample, "threshold": threshold}
        asked |= {"max_gap_s": max_gap_s, "track": track, "reidentify": reidentify, "counts": counts}
        asked |= {"window_s": window_s, "overlap": overlap, "window": window, "webhook": webhook}
        asked["annotate"] = annotate or None
        request = submission(asked, parameters, idempotency_key)
        if (url := address_in(video)) is not None:
            return await self._send_in(with_body(request, {"json": {"url": url}}), timeout_s)
        source = Source.of(video)

        async def attempt() -> VideoAnswer:
            async with source.request_async() as body:
                return job_in(await self._rest.upload(with_body(request, body), timeout_s))

        return await move_async(attempt, timeout_s, self._retries if source.again else 0)

    async def _send_in(self, request: Request, timeout_s: float) -> VideoAnswer:
        async def attempt() -> VideoAnswer:
            return job_in(await self._rest.send(request, timeout_s))

        return await move_async(attempt, timeout_s, self._retries)

    async def get(self, job_id: str) -> VideoAnswer:
        """See `Videos.get`."""
        return job_in(await self._ask(status_of(job_id)))

    async def list(self, limit: int = 20, before: str | None = None, state: JobState | None = None) -> VideosAnswer:
        """See `Videos.list`."""
        return jobs_in(await self._ask(page_of(limit, before, state)))

    async def results(self, job_id: str, from_frame: int = 0) -> AsyncGenerator[Line, None]:
        """See `Videos.results`."""
        place = Place(from_frame, self._timeout_s, self._retries)
        while True:
            failure = None
            try:
                async with self._rest.opened(results_of(job_id, place.from_frame), self._timeout_s) as response:
                    place.opened()
                    async for line in lines_in_async(response):
                        yield place.take(line)
                if (await self.get(job_id))["state"] in OVER:
                    return
            except VitrailError as error:
                failure = error
            await asyncio.sleep(place.pause_s(failure))

    async def wait(self, job_id: str, timeout_s: float | None = None) -> VideoAnswer:
        """See `Videos.wait`."""
        begun_s = time.monotonic()
        outage = Outage(self._timeout_s, self._retries)
        pauses = _pauses()
        while True:
            try:
                job = job_in(await self._rest.send(status_of(job_id), self._timeout_s))
            except VitrailError as error:
                await asyncio.sleep(outage.pause_s(error))
                continue
            outage.ended()
            if job["state"] in OVER:
                return job
            await asyncio.sleep(_within(timeout_s, begun_s, next(pauses), job))

    async def annotated(self, job_id: str, to_path: str | PathLike[str]) -> Path:
        """See `Videos.annotated`."""

        async def attempt() -> Path:
            async with self._rest.opened(annotated_of(job_id), self._timeout_s) as response:
                with saved(to_path) as file:
                    async for piece in of_type(response, "video/").aiter_bytes(PIECE):
                        await asyncio.to_thread(file.write, piece)
            return Path(to_path)

        return await move_async(attempt, self._timeout_s, self._retries)

    async def cancel(self, job_id: str) -> VideoAnswer:
        """See `Videos.cancel`."""
        return job_in(await self._ask(cancellation(job_id)))

    async def delete(self, job_id: str) -> None:
        """See `Videos.delete`."""
        await self._ask(removal(job_id))

    async def _ask(self, request: Request) -> httpx.Response:
        return await ask_async(lambda left_s: self._rest.send(request, left_s), self._timeout_s, self._retries)


def _pauses() -> Iterator[float]:
    """Seconds between two looks at a job: short ones first, for a short job is soon done."""
    pause_s = 0.1
    while True:
        yield pause_s
        pause_s = min(2.0, 1.3 * pause_s)


def _within(timeout_s: float | None, begun_s: float, pause_s: float, job: VideoAnswer) -> float:
    """The pause, shortened to what is left of the time; VitrailError where nothing is left."""
    waited_s = time.monotonic() - begun_s
    left_s = math.inf if timeout_s is None else timeout_s - waited_s
    if left_s <= 0:
        raise still_runs(job, waited_s)
    return min(pause_s, left_s)
