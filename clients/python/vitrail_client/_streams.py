"""Live streams, which the service watches by itself; plain and asynchronous."""

import asyncio
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import Any

import httpx

from vitrail_client._connection import AsyncRest, Request, Rest, of_type
from vitrail_client._errors import VitrailError
from vitrail_client._ndjson import Line, Place, lines_in, lines_in_async
from vitrail_client._retries import ask, ask_async
from vitrail_client._stream_requests import (
    OVER,
    every,
    never_begun,
    picture_of,
    results_of,
    start,
    status_of,
    stop,
    stream_in,
    streams_in,
)
from vitrail_client._tasks import Task
from vitrail_client._video_requests import Sample
from vitrail_client.schemas import StreamAnswer


class Streams:
    """A service's live streams. Each method raises `VitrailError` where there is no answer."""

    def __init__(self, rest: Rest, timeout_s: float, retries: int) -> None:
        self._rest = rest
        self._timeout_s = timeout_s
        self._retries = retries

    def start(
        self,
        url: str,
        *,
        task: Task,
        model: str | None = None,
        fps: float | None = None,
        sample: Sample | None = None,
        threshold: float | None = None,
        max_gap_s: float | None = None,
        track: bool | Mapping[str, Any] | None = None,
        reidentify: bool | Mapping[str, Any] | None = None,
        counts: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> StreamAnswer:
        """Have the service watch a source; how the stream stands is returned at once, before there is a connection.

        Args:
            url: ``rtsp://``, ``rtsps://``, ``http://`` or ``https://``; its operator must allow it.
            task: What is looked for in the frames.
            model: name, name@alias or name:version; without it the task's default.
            fps: At most so many frames a second are processed.
            sample: Which frames are processed; without it all that there is time for.
            threshold: How much a frame must differ, 0…1; with ``sample`` scene or event.
            max_gap_s: At most so many seconds between two processed frames; with ``sample`` event.
            track: Objects get a ``track_id``; True, or how they are tracked.
            reidentify: Who comes back has the id of before, by how they look: True, or how; with ``track``.
            counts: Lines and zones, whose crossings are counted; with ``track``.
            **parameters: The task's own.

        Raises:
            VitrailError: There is no such stream. Where it is unreachable, the service may have begun one unheard:
                a start is not tried again once it was sent.
        """
        asked = {"url": url, "task": task, "model": model, "fps": fps, "track": track, "counts": counts}
        asked["reidentify"] = reidentify
        sampling = {"sample": sample, "threshold": threshold, "max_gap_s": max_gap_s}
        request = start(asked, sampling, parameters)
        return stream_in(
            ask(lambda left_s: self._rest.send(request, left_s), self._timeout_s, self._retries, never_begun)
        )

    def get(self, stream_id: str) -> StreamAnswer:
        """How a stream stands."""
        return stream_in(self._ask(status_of(stream_id)))

    def list(self) -> list[StreamAnswer]:
        """All streams, the newest first."""
        return streams_in(self._ask(every()))

    def results(self, stream_id: str) -> Generator[Line, None, None]:
        """What is found, a line for each frame that is processed from now on, until the stream ends.

        Who reads too slowly misses lines, and so does everybody while the connection is broken: it is made again,
        unless that takes longer than the client's ``timeout_s``, or its ``retries`` are 0.
        """
        place = Place(0, self._timeout_s, self._retries)
        while True:
            failure = None
            try:
                with self._rest.opened(results_of(stream_id), self._timeout_s) as response:
                    place.opened()
                    for line in lines_in(response):
                        yield place.take(line)
                if self.get(stream_id)["state"] in OVER:
                    return
            except VitrailError as error:
                if place.begun and error.code == "not_found":
                    return
                failure = error
            time.sleep(place.pause_s(failure))

    def picture(self, stream_id: str) -> bytes:
        """The last processed frame with what was found drawn in, as JPEG; not_found where there is none yet."""
        return of_type(self._ask(picture_of(stream_id)), "image/").content

    def stop(self, stream_id: str) -> None:
        """End a stream; once this returns all that it held is free. Of one that is over, nothing is known after it."""
        self._ask(stop(stream_id))

    def _ask(self, request: Request) -> httpx.Response:
        return ask(lambda left_s: self._rest.send(request, left_s), self._timeout_s, self._retries)


class AsyncStreams:
    """`Streams`, asynchronous: the same arguments and methods."""

    def __init__(self, rest: AsyncRest, timeout_s: float, retries: int) -> None:
        self._rest = rest
        self._timeout_s = timeout_s
        self._retries = retries

    async def start(
        self,
        url: str,
        *,
        task: Task,
        model: str | None = None,
        fps: float | None = None,
        sample: Sample | None = None,
        threshold: float | None = None,
        max_gap_s: float | None = None,
        track: bool | Mapping[str, Any] | None = None,
        reidentify: bool | Mapping[str, Any] | None = None,
        counts: Mapping[str, Any] | None = None,
        **parameters: Any,
    ) -> StreamAnswer:
        """See `Streams.start`."""
        asked = {"url": url, "task": task, "model": model, "fps": fps, "track": track, "counts": counts}
        asked["reidentify"] = reidentify
        sampling = {"sample": sample, "threshold": threshold, "max_gap_s": max_gap_s}
        request = start(asked, sampling, parameters)
        return stream_in(
            await ask_async(
                lambda left_s: self._rest.send(request, left_s), self._timeout_s, self._retries, never_begun
            )
        )

    async def get(self, stream_id: str) -> StreamAnswer:
        """See `Streams.get`."""
        return stream_in(await self._ask(status_of(stream_id)))

    async def list(self) -> list[StreamAnswer]:
        """See `Streams.list`."""
        return streams_in(await self._ask(every()))

    async def results(self, stream_id: str) -> AsyncGenerator[Line, None]:
        """See `Streams.results`."""
        place = Place(0, self._timeout_s, self._retries)
        while True:
            failure = None
            try:
                async with self._rest.opened(results_of(stream_id), self._timeout_s) as response:
                    place.opened()
                    async for line in lines_in_async(response):
                        yield place.take(line)
                if (await self.get(stream_id))["state"] in OVER:
                    return
            except VitrailError as error:
                if place.begun and error.code == "not_found":
                    return
                failure = error
            await asyncio.sleep(place.pause_s(failure))

    async def picture(self, stream_id: str) -> bytes:
        """See `Streams.picture`."""
        return of_type(await self._ask(picture_of(stream_id)), "image/").content

    async def stop(self, stream_id: str) -> None:
        """See `Streams.stop`."""
        await self._ask(stop(stream_id))

    async def _ask(self, request: Request) -> httpx.Response:
        return await ask_async(lambda left_s: self._rest.send(request, left_s), self._timeout_s, self._retries)
