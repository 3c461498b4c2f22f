"""Findings, and the groups of checks."""

import pytest

from service.doctor.finding import Finding, Level, group, ok, problem, warning
from service.settings import Settings


@pytest.mark.parametrize(("level", "change"), [(Level.OK, "do that"), (Level.WARNING, ""), (Level.PROBLEM, "")])
def test_what_is_wrong_comes_with_a_change(level: Level, change: str) -> None:
    """A finding that is not ok says what to change, and one that is ok says nothing of the kind."""
    with pytest.raises(ValueError, match="what to change"):
        Finding(level, "it is so", change)


def test_a_group_reads_once() -> None:
    """All checks of a group judge the same facts, which are collected once."""
    reads: list[Settings] = []

    def read(settings: Settings) -> int:
        reads.append(settings)
        return len(reads)

    found = group("Numbers", read, {"a": lambda n: [ok(str(n))], "b": lambda n: [warning(str(n), "less")]})
    assert found.examine(Settings()) == {"a": [ok("1")], "b": [warning("1", "less")]}
    assert (found.checks, problem("x", "y").level) == (("a", "b"), Level.PROBLEM)
