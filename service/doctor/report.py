"""Findings as lines for people, or as JSON for machines."""

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from service.doctor.examination import Told, worst
from service.doctor.finding import Level
from service.served_models import release

_NAME_WIDTH = 24
_LEVEL_WIDTH = 8


def lines(told: Iterable[Told]) -> Iterator[str]:
    """A line a finding, under its group's title; what to change stands below it. The last line sums up."""
    yield f"Vitrail {release()} on Python {platform.python_version()}"
    title = ""
    counted: Counter[Level] = Counter()
    for one in told:
        if one.group != title:
            title = one.group
            yield ""
            yield title
        finding = one.finding
        counted[finding.level] += 1
        yield f"  {finding.level:<{_LEVEL_WIDTH}} {one.check:<{_NAME_WIDTH}} {finding.found}"
        if finding.change:
            yield f"  {'':<{_LEVEL_WIDTH}} {'':<{_NAME_WIDTH}} -> {finding.change}"
    yield ""
    yield ", ".join(_counted(counted[level], level) for level in (Level.PROBLEM, Level.WARNING, Level.OK))


def as_json(told: Sequence[Told]) -> dict[str, Any]:
    """The same: ``{"status", "vitrail", "python", "findings": [{"group", "check", "level", "found", "change"}]}``."""
    return {
        "status": worst(told),
        "vitrail": release(),
        "python": platform.python_version(),
        "findings": [
            {
                "group": one.group,
                "check": one.check,
                "level": one.finding.level,
                "found": one.finding.found,
                "change": one.finding.change,
            }
            for one in told
        ],
    }


def _counted(number: int, level: Level) -> str:
    return f"{number} {level}{'' if number == 1 or level is Level.OK else 's'}"
