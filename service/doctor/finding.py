"""What a check found, and the groups that checks come in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from service.settings import Settings


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It runs, and less well, or less safely, than it could."""
    PROBLEM = "problem"
    """It does not run, or not what it should."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and what to change where all is not well."""

    level: Level
    found: str
    change: str = ""

    def __post_init__(self) -> None:
        if bool(self.change) == (self.level is Level.OK):
            raise ValueError("a finding says what to change where something is wrong, and nowhere else")


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, found)


def warning(found: str, change: str) -> Finding:
    """It could be better."""
    return Finding(Level.WARNING, found, change)


def problem(found: str, change: str) -> Finding:
    """It is wrong."""
    return Finding(Level.PROBLEM, found, change)


Facts = TypeVar("Facts")
Examined = Callable[[Settings], dict[str, list[Finding]]]


@dataclass(frozen=True, slots=True)
class Group:
    """Checks of the same facts."""

    title: str
    checks: tuple[str, ...]
    """Their names, in the order in which they are told."""
    examine: Examined = field(repr=False)
    """Collects the facts, and gives the findings of each check."""


def group(
    title: str, read: Callable[[Settings], Facts], checks: dict[str, Callable[[Facts], Iterable[Finding]]]
) -> Group:
    """A group of checks, each a function of the facts that ``read`` collects."""

    def examine(settings: Settings) -> dict[str, list[Finding]]:
        facts = read(settings)
        return {name: list(check(facts)) for name, check in checks.items()}

    return Group(title, tuple(checks), examine)
