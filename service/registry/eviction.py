"""Which versions give their memory to another one: the least recently used go first. A pure function."""

from collections.abc import Sequence
from dataclasses import dataclass

LOW_WATER = 0.9
"""Where memory is short, so much of the limit is left in use: else every load would evict again."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A version that is loaded."""

    key: tuple[str, int]
    memory_bytes: int
    idle_s: float | None
    """Seconds since its last request ended, or since it was loaded; None while one runs."""
    pinned: bool


def evicted(residents: Sequence[Resident], needed: int, limit: int, min_idle_s: float) -> list[tuple[str, int]] | None:
    """The versions that go, in their order, so that ``needed`` bytes more stay within ``limit``; None if they cannot.

    Pinned versions stay, and so do those that were used within ``min_idle_s``: two models that do not fit together
    and are both in use would otherwise be loaded for every request in turn. Once one goes, others that may go do so
    until ``LOW_WATER`` of the limit is left.
    """
    used = sum(resident.memory_bytes for resident in residents) + needed
    if used <= limit:
        return []
    going = []
    idle = [(r.idle_s, r) for r in residents if not r.pinned and r.idle_s is not None and r.idle_s >= min_idle_s]
    for _, resident in sorted(idle, key=lambda pair: -pair[0]):
        if used <= limit * LOW_WATER:
            break
        going.append(resident.key)
        used -= resident.memory_bytes
    return going if used <= limit else None
