"""A job on its way: what its work tells of it, and what is known of its speed."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.video.job import Job, JobState
from service.video.job_folder import JobFolder
from service.video.results_file import ResultsFile
from service.video.speed import Speed

_SAVE_S = 1.0
_MAX_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job as its caller sees it."""

    job: Job
    progress: float | None
    """0 … 1; None where the file does not say how long it is."""
    frames_per_s: float | None = None
    """Of the last seconds; None unless it runs."""
    eta_s: float | None = None
    """Seconds to its end at this speed; None where nobody can say."""


def share_done(job: Job) -> float | None:
    """0 … 1; None where work has begun on a video that does not say how long it is."""
    if job.state is JobState.DONE:
        return 1.0
    if job.frames_total:
        return min(1.0, job.frames_done / job.frames_total)
    return None if job.frames_done else 0.0


class Progress:
    """What a work sees of its job, and where it leaves what it has found.

    Lines are written before the job's row is: after a crash the file is the truth, and the row may lag behind it.
    """

    def __init__(
        self,
        job: Job,
        folder: JobFolder,
        save: Callable[["Progress"], Awaitable[None]],
        counted: Callable[[int, int, int], None],
    ) -> None:
        """``save`` writes the job's row; ``counted`` hears of frames: given to a model, carried, skipped."""
        self.job = job
        self.folder = folder
        """``folder.input`` is the video; ``folder.annotated`` is the work's to write."""
        self.results = ResultsFile(folder.results)
        self._save = save
        self._counted = counted
        self.skips = True
        """A frame without a line was skipped; not so where a line is of several frames."""
        self._told = max(job.frames_done, self.next_frame)
        """Frames that have been told of: with a result, or skipped."""
        self._saved_s = time.monotonic()
        self._speed = Speed(self._saved_s, job.frames_done)

    @property
    def next_frame(self) -> int:
        """The first frame that has no result yet: where the work goes on after a restart, else 0."""
        return 0 if self.job.last_frame is None else self.job.last_frame + 1

    def total(self, frames: int | None) -> None:
        """The file claims to have so many frames."""
        self.job = replace(self.job, frames_total=frames)

    def problem(self, message: str) -> None:
        """Something is wrong with the file, for the caller to know; the work goes on. Said once, and kept in bounds."""
        if message not in self.job.problems and len(self.job.problems) < _MAX_PROBLEMS:
            self.job = replace(self.job, problems=(*self.job.problems, message))

    def known(self, **facts: Any) -> None:
        """Something is known of the whole video: it is put into the summary, in place of what was there by that name.

        What is given is what JSON can say, and changes no more.
        """
        self.job = replace(self.job, summary={**self.job.summary, **facts})

    async def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write results, one a frame, frames rising; ``"carried": true`` in those taken over from the frame before.

        Readers get them at once. The fewer the calls, the cheaper.

        Raises:
            ServiceError: storage_full, where the disk has no room: the job ends, what is written stays.
            ValueError: the frames do not rise.
        """
        if not lines:
            return
        before = self.results.size
        try:
            await self.results.append(lines)
        finally:
            # Whoever is cancelled while a thread writes has written all the same.
            if self.results.size > before:
                self._count(lines)
        await self.moved(self.next_frame)

    async def moved(self, frames_done: int) -> None:
        """The work is past so many frames of the video, those without a result included."""
        now_s = time.monotonic()
        frames_done = max(frames_done, self.job.frames_done)
        if frames_done > self._told:
            if self.skips:
                self._counted(0, 0, frames_done - self._told)
            self._told = frames_done
        self.job = replace(self.job, frames_done=frames_done)
        self._speed.moved(now_s, frames_done)
        if now_s - self._saved_s >= _SAVE_S:
            self._saved_s = now_s
            await self._save(self)

    def started(self, job: Job) -> None:
        """The work begins now: the time in the queue does not count for its speed."""
        self.job = job
        self._speed = Speed(time.monotonic(), self.job.frames_done)

    def status(self) -> JobStatus:
        """How far it is, and when it will end."""
        job = self.job
        share = share_done(job)
        if job.state is not JobState.RUNNING:
            return JobStatus(job, share)
        speed = self._speed.per_second(time.monotonic())
        left = None if job.frames_total is None else max(0, job.frames_total - job.frames_done)
        return JobStatus(job, share, speed, None if left is None or speed <= 0 else left / speed)

    def _count(self, lines: Sequence[Mapping[str, Any]]) -> None:
        carried = sum(line.get("carried") is True for line in lines)
        processed = len(lines) - carried
        self.job = replace(
            self.job,
            frames_processed=self.job.frames_processed + processed,
            frames_carried=self.job.frames_carried + carried,
            last_frame=self.results.last_frame,
        )
        skipped = max(0, self.next_frame - self._told - len(lines)) if self.skips else 0
        self._told = max(self._told, self.next_frame)
        self._counted(processed, carried, skipped)
