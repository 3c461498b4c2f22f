"""Works that are small and real: they read a video of numbers and write a line a frame."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from service.video.job import Job, JobState
from service.video.job_events import JobEvents
from service.video.job_limits import JobLimits
from service.video.jobs import Jobs, Tell
from service.video.progress import JobStatus, Progress

LIMITS = JobLimits(waiting=8, min_free_bytes=0, upload_bytes=1 << 20, retry_s=0.0)


class Counting:
    """Writes a line for each frame; the video says how many. Stops before ``gate_at`` until the gate opens."""

    def __init__(self, gate_at: int | None = None, losses: Mapping[int, list[Exception]] | None = None) -> None:
        self.gate = asyncio.Event()
        self.at_gate = asyncio.Event()
        self.begun_at: list[int] = []
        self._gate_at = gate_at
        self._losses = {frame: list(errors) for frame, errors in (losses or {}).items()}

    async def run(self, job: Job, progress: Progress) -> None:
        frames = int(progress.folder.input.read_text())
        progress.total(frames)
        self.begun_at.append(progress.next_frame)
        for frame in range(progress.next_frame, frames):
            if frame == self._gate_at:
                self.at_gate.set()
                await self.gate.wait()
            if self._losses.get(frame):
                raise self._losses[frame].pop(0)
            await progress.append([{"frame": frame, "carried": frame % 2 == 1}])


def limits(**changes: Any) -> JobLimits:
    """The limits of these tests, with changes."""
    return replace(LIMITS, **changes)


@asynccontextmanager
async def started(
    root: Path,
    work: Counting,
    *,
    limits: JobLimits = LIMITS,
    events: JobEvents | None = None,
    webhook: Tell | None = None,
) -> AsyncIterator[Jobs]:
    """Jobs that run, and are closed at the end."""
    jobs = Jobs(root, work, limits, events=events, webhook=webhook)
    try:
        await jobs.start()
        yield jobs
    finally:
        await jobs.close()


async def submitted(jobs: Jobs, frames: int, request: Mapping[str, Any] | None = None, key: str | None = None) -> str:
    """The id of a job over so many frames."""
    async with jobs.receive() as upload:
        await upload.write(str(frames).encode())
        job = await jobs.submit(upload, request or {"task": "detect"}, input_name="a.mp4", idempotency_key=key)
    return job.id


async def ended(jobs: Jobs, job_id: str) -> JobStatus:
    """The job at its end: its results come to their end with it."""
    async for _ in jobs.results(job_id).read():
        pass
    while not (status := await status_of(jobs, job_id)).job.state.ended:  # noqa: ASYNC110 - its row is being written
        await asyncio.sleep(0)
    return status


async def status_of(jobs: Jobs, job_id: str) -> JobStatus:
    """How a job stands that is there."""
    status = await jobs.get(job_id)
    assert status is not None
    return status


async def state_of(jobs: Jobs, job_id: str) -> JobState:
    """Where a job stands that is there."""
    return (await status_of(jobs, job_id)).job.state


async def frames_of(jobs: Jobs, job_id: str, from_frame: int = 0) -> list[int]:
    """The frames of all lines of a job that has ended."""
    text = b"".join([lines async for lines in jobs.results(job_id).read(from_frame)])
    return [orjson.loads(line)["frame"] for line in text.splitlines()]
