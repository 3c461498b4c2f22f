"""What a job consists of, how often it is tried, and what its end means."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from service.errors import ErrorKind, ServiceError
from service.video.job import Job, JobState
from service.video.job_limits import JobLimits
from service.video.progress import Progress

_log = logging.getLogger("vitrail.video")


class Work(Protocol):
    """The seam to what is done with a video."""

    async def run(self, job: Job, progress: Progress) -> None:
        """Work through the video, from ``progress.next_frame`` on; return when it is done.

        It may be cancelled at any time, and then stops soon.

        Raises:
            ServiceError: the job fails with it; engine_unavailable: the work is run again, from where it stands.
        """


async def run_with_retries(work: Work, progress: Progress, limits: JobLimits, retried: Callable[[], None]) -> None:
    """Run, and again where the engine was lost, up to ``engine_tries`` times in a row without a new result.

    Raises:
        ServiceError: what the work raised last.
    """
    tries = 1
    while True:
        frame = progress.next_frame
        try:
            await work.run(progress.job, progress)
        except ServiceError as error:
            tries = 1 if progress.next_frame > frame else tries
            if error.kind is not ErrorKind.ENGINE_UNAVAILABLE or tries >= limits.engine_tries:
                raise
        else:
            return
        retried()
        await asyncio.sleep(min(limits.retry_s * 2 ** (tries - 1), limits.longest_retry_s))
        tries += 1


def outcome(job: Job, work: asyncio.Task[None]) -> Job:
    """The job as its work, which has stopped, left it: done, or failed with a message for the caller."""
    error = asyncio.CancelledError() if work.cancelled() else work.exception()
    if error is None:
        return replace(job, state=JobState.DONE)
    if isinstance(error, ServiceError):
        return failed(job, error.kind, error.message)
    _log.error("video job %s failed", job.id, exc_info=error)
    return failed(job, ErrorKind.INTERNAL, "an internal error ended the job")


def failed(job: Job, kind: ErrorKind, message: str) -> Job:
    """The job as failed; what was done is kept."""
    return replace(job, state=JobState.FAILED, error_kind=kind, error_message=message)
