"""Single images beside streams and jobs: how long a caller with one picture waits while videos take all there is."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import aiohttp
import numpy as np
import orjson

STREAM_RATE = 60.0
"""Frames a second that a stream sends, as long as it is let."""
_SETTLE_S = 1.0


@dataclass
class Seen:
    """What the callers with single images saw, and what else the service did meanwhile."""

    seconds: float
    whole_ms: list[float] = field(default_factory=list)
    """From the moment at which a caller meant to ask to the whole answer."""
    queue_ms: list[float] = field(default_factory=list)
    """Of that, the waiting for a thread and for the engine, as the service tells it."""
    compute_ms: list[float] = field(default_factory=list)
    """Of that, the batch in which the image was."""
    failures: Counter[str] = field(default_factory=Counter)
    stream_frames: int = 0
    """Answered over WebSockets."""
    job_frames: int = 0
    """Of the video job."""

    @property
    def others_per_s(self) -> float:
        """Frames a second of stream and job."""
        return (self.stream_frames + self.job_frames) / self.seconds


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile; NaN of nothing."""
    return float(np.percentile(values, share)) if values else float("nan")


@dataclass(frozen=True)
class Load:
    """The callers."""

    base: str
    model: str
    images: Sequence[bytes]
    """Encoded; for the single callers and for the stream."""
    rate: float
    """Single images a second, whether or not the ones before have their answer."""
    seconds: float

    def beside(self, *, streams: int, job_id: str | None) -> Seen:
        """The single callers beside so many streams, and a job that is running."""
        return asyncio.run(self._beside(streams, job_id))

    async def _beside(self, streams: int, job_id: str | None) -> Seen:
        seen = Seen(self.seconds)
        async with (
            aiohttp.ClientSession(self.base, connector=aiohttp.TCPConnector(limit=0)) as session,
            contextlib.AsyncExitStack() as stack,
        ):
            for _ in range(streams):
                await stack.enter_async_context(self._stream(session, seen))
            await asyncio.sleep(_SETTLE_S)
            seen.stream_frames, before = 0, await _frames_done(session, job_id)
            await self._ask_steadily(session, seen)
            # What came while the last callers waited for their answers is a little more than was counted for.
            seen.job_frames = await _frames_done(session, job_id) - before
        return seen

    async def _ask_steadily(self, session: aiohttp.ClientSession, seen: Seen) -> None:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as asking:
            for number in range(int(self.rate * self.seconds)):
                moment = begun + number / self.rate
                await asyncio.sleep(max(0.0, moment - time.perf_counter()))
                asking.create_task(self._ask(session, number, moment, seen))

    async def _ask(self, session: aiohttp.ClientSession, number: int, moment: float, seen: Seen) -> None:
        image, headers = self.images[number % len(self.images)], {"Content-Type": "image/jpeg"}
        path = f"/v1/detect?model={self.model}"
        try:
            async with session.post(path, data=image, headers=headers) as response:
                answer = orjson.loads(await response.read())
        except aiohttp.ClientError as error:
            seen.failures[type(error).__name__] += 1
            return
        if response.status != 200:
            seen.failures[str(response.status)] += 1
            return
        seen.whole_ms.append((time.perf_counter() - moment) * 1e3)
        seen.queue_ms.append(answer["timings_ms"]["queue"])
        seen.compute_ms.append(answer["timings_ms"]["compute"])

    @contextlib.asynccontextmanager
    async def _stream(self, session: aiohttp.ClientSession, seen: Seen) -> AsyncIterator[None]:
        """A stream that sends frames at its rate, and no slower than it is let: its window is full all the time."""
        async with session.ws_connect(f"/v1/stream?task=detect&model={self.model}", compress=0) as socket:
            tasks = [asyncio.create_task(work(socket, seen)) for work in (self._send, _receive)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, _: Seen) -> None:
        begun = time.perf_counter()
        for number in count():
            await asyncio.sleep(max(0.0, begun + number / STREAM_RATE - time.perf_counter()))
            await socket.send_bytes(self.images[number % len(self.images)])


async def _receive(socket: aiohttp.ClientWebSocketResponse, seen: Seen) -> None:
    async for message in socket:
        seen.stream_frames += 1
        if "error" in orjson.loads(message.data):
            seen.failures["stream"] += 1


async def _frames_done(session: aiohttp.ClientSession, job_id: str | None) -> int:
    if job_id is None:
        return 0
    async with session.get(f"/v1/videos/{job_id}") as response:
        status: dict[str, Any] = orjson.loads(await response.read())
    if status["state"] != "running":
        raise RuntimeError(f"the job was to run all the time; it is {status['state']}: {status['error']}")
    return int(status["frames"]["done"])
