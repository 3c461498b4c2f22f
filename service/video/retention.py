"""Which ended jobs leave, so that others have room. A pure function."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended."""

    id: str
    finished_s: float
    """Seconds since 1970."""
    size: int
    """Bytes of its files."""


def leaving(ended: Sequence[Ended], now_s: float, max_age_s: float | None, missing: int) -> list[str]:
    """The jobs that leave, in their order: those that are too old, then the oldest until ``missing`` bytes are free.

    Where not even all of them would free as much, age alone counts: nobody would be helped by their loss.
    """
    oldest = sorted(ended, key=lambda job: (job.finished_s, job.id))
    wanted = missing if sum(job.size for job in oldest) >= missing else 0
    going = []
    freed = 0
    for job in oldest:
        old = max_age_s is not None and now_s - job.finished_s > max_age_s
        if not old and freed >= wanted:
            break
        going.append(job.id)
        freed += job.size
    return going
