"""Memory against limits."""

from dataclasses import replace
from pathlib import Path

import pytest

from service.cgroup import Cgroup
from service.doctor.memory import Memory, kills, models, pictures, read
from service.doctor.sizes import shown
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

GIB = 1 << 30
ROOMY = Memory(container=8 * GIB, machine=64 * GIB, models=GIB, models_limit=None, pictures=GIB, killed=0)


@pytest.mark.parametrize(
    ("held", "limit", "level"),
    [
        (1, None, OK),
        (7, None, WARNING),
        (7, 4, OK),
        (7, 7, WARNING),
        (7, 8, PROBLEM),
    ],
)
def test_models_in_memory(held: int, limit: int | None, level: str) -> None:
    """Models that do not fit need a --memory-limit, and one that leaves nothing, or more than there is, is none."""
    facts = replace(ROOMY, models=held * GIB, models_limit=None if limit is None else limit * GIB)
    assert levels(models(facts)) == [level]


def test_the_least_of_container_and_machine_counts() -> None:
    """A container's limit beyond the machine's memory is not there."""
    assert (ROOMY.limit, replace(ROOMY, machine=4 * GIB).limit, replace(ROOMY, container=None, machine=None).limit) == (
        8 * GIB,
        4 * GIB,
        None,
    )


def test_no_known_limit() -> None:
    """Without any limit nothing is said against the models."""
    assert levels(models(replace(ROOMY, container=None, machine=None, models=100 * GIB))) == [OK]


def test_large_pictures() -> None:
    """Pictures that take more than half of the memory are told of."""
    assert levels(pictures(ROOMY)) == [OK]
    assert "--max-pixels" in only(pictures(replace(ROOMY, pictures=5 * GIB))).change


def test_processes_that_were_ended() -> None:
    """A container that has run out of memory is told of."""
    assert (levels(kills(ROOMY)), levels(kills(replace(ROOMY, killed=2)))) == ([OK], [WARNING])


def test_reading(tmp_path: Path, tiny_repository: Path) -> None:
    """The limit, the machine's memory, the kills and the models' files are read from where they stand."""
    (tmp_path / "memory.max").write_text("4096\n")
    (tmp_path / "memory.events").write_text("oom 3\noom_kill 2\n")
    (tmp_path / "meminfo").write_text("MemTotal:       16 kB\nMemFree: 1 kB\n")
    settings = Settings(repository=tiny_repository, threads=2, max_pixels=100)
    facts = read(settings, Cgroup(tmp_path, tmp_path / "own"), tmp_path / "meminfo")
    size = sum(path.stat().st_size for path in tiny_repository.glob("*/*/model.onnx"))
    assert facts == Memory(4096, 16384, size, None, 2 * 100 * 21, 2)


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (1023, "1023 B"), (5 << 40, "5 TiB")])
def test_sizes_as_people_read_them(count: int, text: str) -> None:
    """Bytes are shown in the unit that fits."""
    assert shown(count) == text
