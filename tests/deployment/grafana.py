"""The dashboards as Grafana reads them: their panels, and their queries with the variables replaced."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "helm" / "dashboards"

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})")
_VALUES = re.compile(r"label_values\((?:(?P<series>.+), *)?(?P<label>\w+)\)")


@dataclass(frozen=True)
class Asked:
    """A query of a panel."""

    board: str
    panel: str
    query: str
    expression: str
    """As the dashboard has it."""
    instant: bool
    exemplars: bool

    @property
    def metrics(self) -> set[str]:
        """The metrics that it names; a histogram's and a summary's without the endings of their series."""
        names = re.findall(r"\b((?:vitrail|process|python|nv|DCGM)_\w+)\b", self.expression)
        return {re.sub("_(bucket|sum|count)$", "", name) if name.startswith("vitrail") else name for name in names}

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.query}"


def boards() -> list[dict[str, Any]]:
    """All dashboards that are committed, by the names of their files."""
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Its panels without the headings of rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def variables(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its variables by name."""
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def queries() -> Iterator[Asked]:
    """Every query of every panel of every dashboard."""
    for board in boards():
        for panel in panels(board):
            for target in panel["targets"]:
                kinds = bool(target.get("instant")), bool(target.get("exemplar"))
                yield Asked(board["title"], panel["title"], target["refId"], target["expr"], *kinds)


def values_query(variable: dict[str, Any]) -> tuple[str, str]:
    """The series whose labels are the values of a variable, and the label."""
    found = _VALUES.fullmatch(variable["query"]["query"])
    assert found is not None, variable["query"]
    return found["series"], found["label"]


def at_first(board: dict[str, Any]) -> dict[str, str]:
    """What each variable stands for in a query before anybody has chosen: all that there is."""
    first = {}
    for name, variable in variables(board).items():
        chosen = variable.get("current", {}).get("value", "")
        first[name] = variable["allValue"] if chosen == ["$__all"] else chosen
    return first


def replaced(expression: str, values: Mapping[str, str]) -> str:
    """A query as Grafana sends it.

    Raises:
        KeyError: it has a variable that is not among the values.
    """
    return _VARIABLE.sub(lambda found: values[found[1] or found[2]], expression)
