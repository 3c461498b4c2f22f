"""Shared memory between this service and a Triton on the same machine."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.card import ModelCard
from contract.triton import unbroken_batch_size
from service.doctor.finding import Finding, group, ok, problem, warning
from service.doctor.repository import readable_cards
from service.doctor.sizes import shown
from service.settings import Settings

SLOTS = 8
"""Batches of one version that the service makes room for."""
_REGION = re.compile(r"vitrail-(\d+)-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """What there is, and what is needed, in bytes."""

    wanted: bool
    """``--triton-shared-memory``, with Triton as the engine."""
    total: int | None
    """The size of ``/dev/shm``; None where there is none."""
    free: int
    needed: int
    """For the inputs of every version."""
    left_over: tuple[str, ...]
    """Regions of this service's whose process is gone."""


def read(settings: Settings, folder: Path = Path("/dev/shm")) -> SharedMemory:  # noqa: S108 - it is only looked at
    """Look at the file system that holds the regions, and at the cards."""
    try:
        there = os.statvfs(folder)
    except OSError:
        total, free = None, 0
    else:
        total, free = there.f_frsize * there.f_blocks, there.f_frsize * there.f_bavail
    return SharedMemory(
        wanted=settings.engine == "triton" and settings.triton_shared_memory,
        total=total,
        free=free,
        needed=sum(needed_by(card, settings.max_batch_size) for card in readable_cards(settings.repository)),
        left_over=tuple(_left_over(folder)),
    )


def needed_by(card: ModelCard, max_batch_size: int | None) -> int:
    """Bytes of a version's region: so many slots, each for its largest batch."""
    largest = min(unbroken_batch_size(card), max_batch_size or card.max_batch_size)
    return SLOTS * largest * math.prod(card.input.shape)


def size(facts: SharedMemory) -> Iterator[Finding]:
    """Whether all inputs have room."""
    if not facts.wanted:
        yield ok("not used (--triton-shared-memory)")
    elif facts.total is None:
        yield problem("there is no /dev/shm", "mount one, which Triton sees too, or leave --triton-shared-memory out")
    else:
        found = f"{shown(facts.total)}, {shown(facts.free)} free; the models' inputs need {shown(facts.needed)}"
        if facts.needed > facts.free:
            yield problem(
                f"{found}, and what has no room ends the process", f"make /dev/shm {shown(facts.needed * 2)} large"
            )
        else:
            yield ok(found)


def left_over(facts: SharedMemory) -> Iterator[Finding]:
    """Regions that a service has left behind which was killed."""
    if facts.left_over:
        names = ", ".join(facts.left_over)
        yield warning(f"regions whose service is gone take room: {names}", f"remove them: cd /dev/shm && rm {names}")
    else:
        yield ok("no region is left of a service that is gone")


def _left_over(folder: Path) -> Iterator[str]:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return
    for name in names:
        if (found := _REGION.fullmatch(name)) and not Path("/proc", found[1]).exists():
            yield name


GROUP = group("Shared memory", read, {"shared memory": size, "left-over regions": left_over})
