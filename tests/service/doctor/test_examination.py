"""All groups at once."""

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from service.doctor.examination import Told, examine, worst
from service.doctor.finding import Finding, Group, Level, group, ok, problem, warning
from service.doctor.groups import BEFORE, GROUPS, SECRETS, VALUES
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING


def well(name: str) -> Group:
    """A group with one check, which finds all well."""
    return group(name, lambda _: name, {f"{name}'s check": lambda facts: [ok(facts)]})


@pytest.fixture
def hung() -> Iterator[Group]:
    """A group that comes to no end before its test does."""
    gate = threading.Event()
    yield group("hung", lambda _: gate.wait(60), {"one": lambda _: [], "two": lambda _: []})
    gate.set()


def broken(_: Settings) -> str:
    """Facts that cannot be had, for a reason that nobody foresaw."""
    raise KeyError("surprise")


def test_groups_are_told_in_order() -> None:
    """Findings come in the order of the groups, with the names of group and check."""
    told = list(examine(Settings(), [well("b"), well("a")]))
    assert told == [Told("b", "b's check", ok("b")), Told("a", "a's check", ok("a"))]


def test_a_group_that_hangs(hung: Group) -> None:
    """A group that comes to no end is given up, each of its checks says so, and the others are told."""
    told = list(examine(Settings(), [hung, well("a")], patience_s=0.2))
    assert [(one.check, one.finding.level) for one in told] == [("one", PROBLEM), ("two", PROBLEM), ("a's check", OK)]


_HANGS = """
import threading
from service.doctor.examination import examine
from service.doctor.finding import group
from service.settings import Settings

hung = group("hung", lambda settings: threading.Event().wait(), {"one": lambda facts: []})
print(*(told.check for told in examine(Settings(), [hung], patience_s=0.1)))
"""


def test_what_hangs_does_not_keep_the_process() -> None:
    """A process that has given a check up ends, although that check's thread still waits."""
    done = subprocess.run([sys.executable, "-c", _HANGS], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "one\n", "")


def test_a_group_that_fails() -> None:
    """A mistake of a check is that check's problem, in its own words, and no other's."""
    told = list(examine(Settings(), [group("bad", broken, {"one": lambda _: []}), well("a")]))
    assert told[0].finding.found == "the check itself failed: KeyError: 'surprise'"
    assert told[1].finding.level is OK


@pytest.mark.parametrize(
    ("findings", "level"),
    [
        ([], OK),
        ([ok("a")], OK),
        ([ok("a"), warning("b", "c")], WARNING),
        ([problem("a", "b"), warning("b", "c")], PROBLEM),
    ],
    ids=["nothing", "ok", "warning", "problem"],
)
def test_the_worst_counts(findings: list[Finding], level: Level) -> None:
    """One problem among many findings makes it a problem."""
    assert worst([Told("group", "check", finding) for finding in findings]) is level


def test_every_check_has_a_name_of_its_own() -> None:
    """No two checks, and no two groups, share a name."""
    names = [VALUES, SECRETS, *(check for group in GROUPS for check in group.checks)]
    titles = [BEFORE, *(group.title for group in GROUPS)]
    assert (len(set(names)), len(set(titles))) == (len(names), len(titles))


def test_every_check_tells_something(tiny_repository: object) -> None:
    """Over a repository that is well each check of every group says at least one thing, and none fails."""
    told = list(examine(Settings(repository=tiny_repository, port=0), GROUPS))
    assert {(one.group, one.check) for one in told} == {
        (group.title, check) for group in GROUPS for check in group.checks
    }
    assert not [one for one in told if "check itself failed" in one.finding.found]
