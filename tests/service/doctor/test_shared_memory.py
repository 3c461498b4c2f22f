"""Shared memory with a Triton on the same machine."""

import os
from dataclasses import replace
from pathlib import Path

from service.doctor.shared_memory import SharedMemory, left_over, needed_by, read, size
from service.engines.triton import pool
from service.engines.triton.shared_memory import ImageSlots
from service.settings import Settings
from tests.cards import a_card
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

MIB = 1 << 20
ROOMY = SharedMemory(wanted=True, total=64 * MIB, free=64 * MIB, needed=MIB, left_over=())


def test_what_a_version_needs_is_what_the_service_takes() -> None:
    """The need that is foretold is the size of the region that the engine makes."""
    card = a_card(batch_sizes=(1, 2, 4))
    slots = ImageSlots(card.input.shape, 2, pool._SLOTS)
    slots.close()
    assert needed_by(card, None) == slots.size


def test_a_small_dev_shm() -> None:
    """Inputs without room are a problem, for a write beyond it ends the process; and so is no /dev/shm."""
    told = [levels(size(replace(ROOMY, free=10))), levels(size(replace(ROOMY, total=None))), levels(size(ROOMY))]
    assert told == [[PROBLEM], [PROBLEM], [OK]]


def test_it_is_not_needed_without_the_setting() -> None:
    """A service that uses none needs none."""
    assert levels(size(replace(ROOMY, wanted=False, total=None))) == [OK]


def test_regions_of_the_dead(tmp_path: Path) -> None:
    """A region whose process is gone is named; one of a process that runs, and other people's, are not."""
    for name in (f"vitrail-{os.getpid()}-0123abcd", "vitrail-4194305-0123abcd", "else"):
        (tmp_path / name).touch()
    finding = only(left_over(read(Settings(), tmp_path)))
    assert (finding.level, finding.change) == (WARNING, "remove them: cd /dev/shm && rm vitrail-4194305-0123abcd")


def test_reading(tmp_path: Path, tiny_repository: Path) -> None:
    """Size and need are read where shared memory is wanted."""
    settings = Settings(repository=tiny_repository, engine="triton", triton_shared_memory=True)
    facts = read(settings, tmp_path)
    assert facts.wanted
    assert facts.total
    assert facts.needed > 0
