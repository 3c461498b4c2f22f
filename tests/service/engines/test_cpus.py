"""Processors: the container's share, by either generation of control groups."""

import os
from pathlib import Path

import pytest

from service.cgroup import Cgroup
from service.engines.cpus import available_cpus


@pytest.fixture(autouse=True)
def sixteen_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host lets this process run on sixteen."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


def cpus(root: Path, own: str | None, files: dict[str, str]) -> int:
    """What is available under a control group tree with these files."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    own_file = root / "own"
    if own is not None:
        own_file.write_text(own)
    return available_cpus(Cgroup(root, own_file))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", 16),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("1000 100000", 1),
        ("9900000 100000", 16),
        ("nonsense", 16),
        ("", 16),
    ],
)
def test_second_generation(tmp_path: Path, quota: str, expected: int) -> None:
    """A quota of version 2 counts, rounded up; without one, or with one that cannot be read, affinity counts."""
    assert cpus(tmp_path, "0::/\n", {"cpu.max": quota}) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 16), ("300000", 3), ("250000", 3), ("20000", 1)])
def test_first_generation(tmp_path: Path, quota: str, expected: int) -> None:
    """A quota of version 1 counts, rounded up."""
    files = {"cpu/cpu.cfs_quota_us": quota + "\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert cpus(tmp_path, "3:cpu,cpuacct:/\n", files) == expected


def test_the_least_of_nested_groups_counts(tmp_path: Path) -> None:
    """A limit of any group around the process's own holds for it."""
    files = {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "a/b/c/cpu.max": "500000 100000"}
    assert cpus(tmp_path, "0::/a/b/c\n", files) == 3


def test_nested_groups_of_the_first_generation(tmp_path: Path) -> None:
    """Without a namespace the process's own group lies below the controller's mount, found by the controller's name."""
    files = {"cpu/docker/x/cpu.cfs_quota_us": "400000", "cpu/docker/x/cpu.cfs_period_us": "100000"}
    assert cpus(tmp_path, "5:memory:/docker/y\n4:cpuacct,cpu:/docker/x\n", files) == 4


def test_another_groups_limit_does_not_count(tmp_path: Path) -> None:
    """The limit of a group in which the process is not is none of its business."""
    assert cpus(tmp_path, "0::/mine\n", {"theirs/cpu.max": "100000 100000"}) == 16


def test_a_machine_without_control_groups(tmp_path: Path) -> None:
    """Where nothing can be read, affinity counts."""
    assert cpus(tmp_path, None, {}) == 16
