"""Callers who wait to be told that their job has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from service.errors import invalid_parameters
from service.video.job import Job


class Tell(Protocol):
    """The seam to the way there; ``Webhook`` is one."""

    def check(self, url: str) -> None:
        """Raise ServiceError if this address must not be called."""

    async def tell(self, job: Job, url: str) -> bool:
        """Whether it was taken; False once there is nothing more to try."""


class Telling:
    """Tells in the background, beside the jobs."""

    def __init__(self, tell: Tell | None, told: Callable[[Job, bool], Awaitable[None]]) -> None:
        """Without ``tell``, nobody is told. ``told`` hears of each attempt that has come to its end."""
        self._tell = tell
        self._told = told
        self._tasks: set[asyncio.Task[None]] = set()

    def check(self, url: object) -> None:
        """Raise ServiceError (invalid_parameters, or the policy's) unless this address can be told."""
        if not isinstance(url, str):
            raise invalid_parameters("webhook must be an address")
        if self._tell is None:
            raise invalid_parameters("webhooks are switched off here")
        self._tell.check(url)

    def begin(self, job: Job) -> None:
        """Tell of a job, if its caller is still to be told of its end."""
        if self._tell is not None and job.webhook_due and job.state.ended:
            task = asyncio.create_task(self._run(self._tell, job), name=f"webhook of video job {job.id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop; who was not told is told after the next start."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, tell: Tell, job: Job) -> None:
        await self._told(job, await tell.tell(job, job.request["webhook"]))
