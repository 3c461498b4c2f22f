"""How much the files of all jobs may take."""

import shutil
from pathlib import Path


class DiskBudget:
    """Counts what each job takes, and says how much is missing for more."""

    def __init__(self, root: Path, max_bytes: int | None, min_free_bytes: int) -> None:
        """``max_bytes`` for all jobs together; ``min_free_bytes`` stay free on the disk of ``root`` for others."""
        self._root = root
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._by_job: dict[str, int] = {}
        self._used = 0

    @property
    def used(self) -> int:
        """Bytes of all jobs, as last noted."""
        return self._used

    def of(self, job_id: str) -> int:
        """Bytes of one job, as last noted."""
        return self._by_job.get(job_id, 0)

    def note(self, job_id: str, size: int) -> None:
        """A job takes so many bytes now."""
        self._used += size - self._by_job.get(job_id, 0)
        self._by_job[job_id] = size

    def forget(self, job_id: str) -> None:
        """A job's files are gone."""
        self._used -= self._by_job.pop(job_id, 0)

    def missing(self, more: int) -> int:
        """Bytes that must go before ``more`` have room; 0 where they have."""
        over = 0 if self._max_bytes is None else self._used + more - self._max_bytes
        short = self._min_free_bytes + more - shutil.disk_usage(self._root).free
        return max(0, over, short)
