"""What the system allows."""

import resource
from dataclasses import replace
from pathlib import Path

from service.cgroup import Cgroup
from service.doctor.limits import Limits, core, descriptors, read, threads
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

ROOMY = Limits(
    descriptors=65536, descriptors_hard=65536, connections=1000, processes=None, pids=None, threads=100, core=0,
    core_to_file=True,
)  # fmt: skip


def test_descriptors() -> None:
    """As many as full use takes are enough; fewer are a warning, and hardly any a problem."""
    told = [levels(descriptors(replace(ROOMY, descriptors=number))) for number in (None, 1128, 1127, 255)]
    assert told == [[OK], [OK], [WARNING], [PROBLEM]]


def test_a_hard_limit_is_named() -> None:
    """Where the soft limit cannot be raised so far, the hard one is named."""
    finding = only(descriptors(replace(ROOMY, descriptors=300, descriptors_hard=400)))
    assert "hard limit" in finding.change


def test_threads() -> None:
    """The lesser of the user's and the container's limit counts, and the one to raise is named."""
    finding = only(threads(replace(ROOMY, processes=500, pids=50)))
    assert (finding.level, "pids" in finding.change) == (WARNING, True)
    assert levels(threads(ROOMY)) == [OK]


def test_memory_after_a_crash() -> None:
    """Memory that a crash writes to a file, with people's pictures, is told of."""
    told = [ROOMY, replace(ROOMY, core=None), replace(ROOMY, core=None, core_to_file=False)]
    assert [levels(core(facts)) for facts in told] == [[OK], [WARNING], [OK]]


def test_reading(tmp_path: Path) -> None:
    """The limits of this very process, and of its container, are read."""
    (tmp_path / "pids.max").write_text("77\n")
    (tmp_path / "pattern").write_text("|/usr/lib/systemd/systemd-coredump %P\n")
    facts = read(Settings(threads=2), tmp_path / "pattern", Cgroup(tmp_path, tmp_path / "own"))
    assert (facts.pids, facts.core_to_file) == (77, False)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert facts.descriptors == (None if soft == resource.RLIM_INFINITY else soft)
