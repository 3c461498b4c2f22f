"""Control groups, as the kernel shows them: real files in a folder of the test's."""

from pathlib import Path

import pytest

from service.cgroup import Cgroup


def write(root: Path, **files: str) -> None:
    """Files of control groups; ``__`` in a name stands for a folder."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def cgroup(tmp_path: Path) -> Cgroup:
    """Groups of version 2: this process is in a/b."""
    write(tmp_path, own="0::/a/b")
    return Cgroup(tmp_path / "groups", tmp_path / "own")


def test_the_strictest_limit_holds(cgroup: Cgroup) -> None:
    """Limits hold for the groups within, so the least on the way up counts, and "max" is none."""
    write(cgroup.root, a__memory_dot_max="1000", a__b__memory_dot_max="2000", memory_dot_max="max")
    assert cgroup.least("memory", "memory.max") == 1000


def test_a_group_beside_is_not_asked(cgroup: Cgroup) -> None:
    """The limit of a group that this process is not in means nothing."""
    write(cgroup.root, c__memory_dot_max="10")
    assert cgroup.least("memory", "memory.max") is None


def test_quotas_of_version_1(tmp_path: Path) -> None:
    """Version 1 has a folder for each controller, two files for a quota, and a huge number for no limit."""
    write(tmp_path, own="4:cpu,cpuacct:/a\n5:memory:/a", groups__cpu__a__cpu_dot_cfs_quota_us="150000")
    write(tmp_path, groups__cpu__a__cpu_dot_cfs_period_us="100000")
    write(tmp_path, groups__memory__a__memory_dot_limit_in_bytes=str(2**63 - 4096))
    cgroup = Cgroup(tmp_path / "groups", tmp_path / "own")
    assert (cgroup.quota(), cgroup.least("memory", "memory.max", "memory.limit_in_bytes")) == (1.5, None)


@pytest.mark.parametrize(("text", "quota"), [("150000 100000", 1.5), ("max 100000", None), ("nonsense", None)])
def test_quotas_of_version_2(cgroup: Cgroup, text: str, quota: float | None) -> None:
    """A quota is so many microseconds in so many."""
    write(cgroup.root, a__cpu_dot_max=text)
    assert cgroup.quota() == quota


def test_counters(cgroup: Cgroup) -> None:
    """Counters are read from the process's own group."""
    write(cgroup.root, a__b__cpu_dot_stat="nr_periods 10\nnr_throttled 3\nburst_usec x", cpu_dot_stat="nr_periods 99")
    assert cgroup.counts("cpu", "cpu.stat") == {"nr_periods": 10, "nr_throttled": 3}


def test_no_groups_at_all(tmp_path: Path) -> None:
    """Where the kernel shows none there is no limit, and no error."""
    cgroup = Cgroup(tmp_path / "none", tmp_path / "nothing")
    assert (cgroup.quota(), cgroup.least("pids", "pids.max"), cgroup.counts("cpu", "cpu.stat")) == (None, None, {})
