"""Jobs over small clips and a service of tiny models."""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from contract.preprocess import Pixels
from service.engines.base import Engine, Inferred
from service.errors import engine_unavailable
from service.video.job import Job
from service.video.jobs import Jobs
from service.video.patient_inference import Patience
from service.video.pipeline import VideoWork
from service.video.progress import JobStatus
from service.video.source import VideoSource
from service.video.video_request import VideoRequest
from service.video.work import Work
from tests.service.running import Running
from tests.service.video.clips import HEIGHT, WIDTH
from tests.service.video.job_work import ended, limits

QUICK = Patience(turn_s=0.2, frame_timeout_s=5.0, give_up_s=10.0)


def grey(number: int) -> Pixels:
    """A bright picture uint8 [HEIGHT, WIDTH, 3]; each is a little brighter than the one before."""
    return np.full((HEIGHT, WIDTH, 3), 120 + 2 * (number % 60), np.uint8)


def still(_: int) -> Pixels:
    """Always the same bright picture."""
    return grey(12)


class _Around:
    """An engine around another, that keeps a record of its batches."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.batch_sizes, self.concurrency, self.healthy = engine.batch_sizes, engine.concurrency, True
        self.sizes: list[int] = []

    @property
    def batches(self) -> int:
        """How many came."""
        return len(self.sizes)

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`."""
        self.sizes.append(len(images))
        return await self.engine.infer(images, deadline, flow)

    def take_traffic(self) -> None:
        """See `Engine.take_traffic`."""

    async def close(self) -> None:
        """See `Engine.close`."""
        await self.engine.close()


class LosingEngine(_Around):
    """It is lost at batches of one's choice, the first of which is 1."""

    def __init__(self, engine: Engine, at: Sequence[int]) -> None:
        super().__init__(engine)
        self.losses = 0
        self._at = at

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`."""
        if self.batches + 1 in self._at:
            self.sizes.append(len(images))
            self.losses += 1
            raise engine_unavailable("the engine was lost")
        return await super().infer(images, deadline, flow)


class PausingEngine(_Around):
    """It answers so many batches, and then keeps what comes until it is let go."""

    def __init__(self, engine: Engine, after: int) -> None:
        super().__init__(engine)
        self.paused, self.gate = asyncio.Event(), asyncio.Event()
        self._after = after

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`."""
        if self.batches >= self._after:
            self.paused.set()
            await self.gate.wait()
        return await super().infer(images, deadline, flow)


@asynccontextmanager
async def filming(root: Path, work: Work | Running, **changes: Any) -> AsyncIterator[Jobs]:
    """Jobs that run over a service's models, or do another work; closed at the end."""
    if isinstance(work, Running):
        work = VideoWork(work.application.inference, patience=QUICK)
    jobs = Jobs(root, work, limits(**changes))
    try:
        await jobs.start()
        yield jobs
    finally:
        await jobs.close()


async def sent(jobs: Jobs, clip: Path, **wanted: Any) -> Job:
    """A job over a clip, as a caller asks for it; for the detector unless something else is wanted."""
    request = VideoRequest.of({"task": "detect", **wanted})
    async with jobs.receive() as upload:
        await upload.write(await asyncio.to_thread(clip.read_bytes))
        return await jobs.submit(upload, request.as_json())


async def filmed(jobs: Jobs, clip: Path, **wanted: Any) -> tuple[JobStatus, list[dict[str, Any]]]:
    """A job at its end, and its lines."""
    job = await sent(jobs, clip, **wanted)
    status = await ended(jobs, job.id)
    return status, await lines_of(jobs, job.id)


async def lines_of(jobs: Jobs, job_id: str) -> list[dict[str, Any]]:
    """The lines of a job that has ended."""
    text = b"".join([lines async for lines in jobs.results(job_id).read()])
    return [orjson.loads(line) for line in text.splitlines()]


def shown(path: Path) -> tuple[list[float], list[Pixels]]:
    """The times and pictures of a video, and that it plays."""
    with VideoSource(path) as source:
        frames = [(frame.time_s, frame.pixels()) for frame in source.frames()]
        assert source.problems == []
    return [time_s for time_s, _ in frames], [pixels for _, pixels in frames]
