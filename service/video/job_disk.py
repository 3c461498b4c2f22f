"""The disk under all jobs: their folders, what these take, and how room is made."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from service.video.disk import disk_full, on_disk
from service.video.disk_budget import DiskBudget
from service.video.job import is_job_id
from service.video.job_folder import JobFolder
from service.video.job_store import JobStore
from service.video.retention import Ended, leaving


class JobDisk:
    """Keeps the files of jobs within their budget: jobs that have ended leave, those that run never."""

    def __init__(
        self,
        root: Path,
        store: JobStore,
        budget: DiskBudget,
        max_age_s: float | None,
        removed: Callable[[str, int], None],
    ) -> None:
        """``removed`` hears of each job that has left, and of the bytes that it took."""
        self._folders = root / "jobs"
        self._store = store
        self._budget = budget
        self._max_age_s = max_age_s
        self._removed = removed

    @property
    def used(self) -> int:
        """Bytes of all jobs, as last measured."""
        return self._budget.used

    def folder(self, job_id: str) -> JobFolder:
        """Where the files of a job stand.

        Raises:
            ValueError: no job can have this id.
        """
        if not is_job_id(job_id):
            raise ValueError(f"{job_id!r} is no job's id")
        return JobFolder(self._folders / job_id)

    async def measure(self, job_id: str) -> None:
        """Note what a job takes now."""
        size = await on_disk(self.folder(job_id).bytes_used)
        if size:
            self._budget.note(job_id, size)
        else:  # removed meanwhile, or nothing there yet
            self._budget.forget(job_id)

    def note(self, job_id: str, size: int) -> None:
        """A job takes so many bytes now."""
        self._budget.note(job_id, size)

    def forget(self, job_id: str) -> None:
        """A job's files are gone."""
        self._budget.forget(job_id)

    async def make_room(self, more: int) -> None:
        """Let ended jobs leave until ``more`` bytes have room.

        Raises:
            ServiceError: storage_full, where not even that would help; none leaves then.
        """
        missing = self._budget.missing(more)
        if missing:
            await self._let_leave(missing)
            if self._budget.missing(more):
                raise disk_full()

    async def sweep(self) -> None:
        """Let jobs leave that are too old, or take too much."""
        await self._let_leave(self._budget.missing(0))

    async def remove(self, job_id: str) -> None:
        """Remove a job that has ended: its row first, for files of no job are found at the next start."""
        await self._store.remove(job_id)
        await on_disk(self.folder(job_id).remove)
        size = self._budget.of(job_id)
        self._budget.forget(job_id)
        self._removed(job_id, size)

    async def remove_strangers(self, known: Iterable[str]) -> None:
        """Remove the files of no job: a crash came before its row, or after its row had gone."""
        names = set(known)
        await on_disk(self._remove_others, names)

    def _remove_others(self, names: set[str]) -> None:
        for path in self._folders.glob("*"):
            if path.name not in names:
                JobFolder(path).remove()

    async def _let_leave(self, missing: int) -> None:
        jobs = await self._store.ended()
        ended = [Ended(job.id, job.finished_s or job.created_s, self._budget.of(job.id)) for job in jobs]
        for job_id in leaving(ended, time.time(), self._max_age_s, missing):
            await self.remove(job_id)
