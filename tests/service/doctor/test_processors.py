"""Threads against processors."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from service.cgroup import Cgroup
from service.doctor.processors import Processors, pauses, pools, read, threads
from service.settings import Settings
from tests.service.doctor.telling import OK, WARNING, levels, only

FOUR_OF_64 = Processors(machine=64, available=4, quota=4.0, threads=None, pools={}, paused_share=None)


@given(available=st.integers(1, 64), wanted=st.integers(1, 64))
def test_more_threads_than_processors(available: int, wanted: int) -> None:
    """Threads beyond the processors are a warning, whatever their number, and no others are."""
    facts = Processors(64, available, None, wanted, {}, None)
    assert levels(threads(facts)) == [WARNING if wanted > available else OK]


def test_a_broken_quota() -> None:
    """Two threads over a quota of 1.5 are paused again and again."""
    finding = only(threads(replace(FOUR_OF_64, available=2, quota=1.5)))
    assert (finding.level, "whole number, 2" in finding.change) == (WARNING, True)


def test_the_default_fits() -> None:
    """Without --threads there are as many as the quota leaves."""
    assert only(threads(FOUR_OF_64)).found == "4 threads; 4 processors may be used (of 64, a quota of 4)"


def test_a_throttled_container() -> None:
    """A container that was stopped in many periods is told of."""
    told = [levels(pauses(replace(FOUR_OF_64, paused_share=share))) for share in (None, 0.01, 0.5)]
    assert told == [[OK], [OK], [WARNING]]


def test_libraries_that_count_the_machine() -> None:
    """Where the container has less than the machine, a variable must say so to libraries; where not, none is needed."""
    assert "OMP_NUM_THREADS is not set" in only(pools(FOUR_OF_64)).found
    assert levels(pools(replace(FOUR_OF_64, machine=4))) == [OK]


def test_wrong_variables() -> None:
    """A variable that is too large, or no number, is named."""
    facts = replace(FOUR_OF_64, pools={"OMP_NUM_THREADS": "16", "MKL_NUM_THREADS": "all", "NUMEXPR_NUM_THREADS": "1"})
    told = list(pools(facts))
    assert levels(told) == [WARNING, WARNING]
    assert told[0].found.startswith("OMP_NUM_THREADS is 16")
    assert told[1].found.startswith("MKL_NUM_THREADS is 'all'")


def test_reading(tmp_path: Path) -> None:
    """Quota, throttling and variables are read from where they stand."""
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "cpu.stat").write_text("nr_periods 4\nnr_throttled 1\n")
    facts = read(Settings(), Cgroup(tmp_path, tmp_path / "own"), {"OMP_NUM_THREADS": "2", "HOME": "/"})
    assert (facts.available, facts.quota, facts.paused_share, facts.pools) == (1, 1.0, 0.25, {"OMP_NUM_THREADS": "2"})
