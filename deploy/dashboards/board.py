"""A dashboard: its head, its variables, the way to the others, and its panels in rows."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
)

from deploy.dashboards.variables import VARIABLES

_TAG = "vitrail"
_WIDTH = 24
"""Of Grafana's grid."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard before it is built.

    Attributes:
        name: of its file, and behind ``vitrail-`` its address.
        variables: the names of those that it has, besides the data source; `VARIABLES` has them.
    """

    name: str
    title: str
    description: str
    variables: Sequence[str]
    rows: Sequence[Row]

    @property
    def uid(self) -> str:
        """The address under which Grafana has it."""
        return f"vitrail-{self.name}"


def as_json(board: Board) -> str:
    """The text of its file, the same whenever the board is."""
    return json.dumps(build(board), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def build(board: Board) -> Dashboard:
    """The dashboard as Grafana knows it, each panel at its place, with a number of its own."""
    others = builders.DashboardLink("Vitrail").type(DashboardLinkType.DASHBOARDS).tags([_TAG])
    builder = builders.Dashboard(f"Vitrail: {board.title}").uid(board.uid).description(board.description).tags([_TAG])
    builder.readonly().refresh("10s").time("now-30m", "now").timezone("browser")
    builder.tooltip(DashboardCursorSync.CROSSHAIR)
    builder.link(others.as_dropdown(False).include_vars(True).keep_time(True))
    for name in ("datasource", *board.variables):
        builder.with_variable(VARIABLES[name])
    built = builder.build()
    built.panels = _placed(board.rows)
    return built


def _placed(rows: Sequence[Row]) -> list[Panel | RowPanel]:
    """The panels from left to right, and the rows from top to bottom."""
    placed: list[Panel | RowPanel] = []
    y = 0
    for row in rows:
        at = GridPos(h=1, w=_WIDTH, x=0, y=y)
        placed.append(RowPanel(id_val=len(placed) + 1, title=row.title, grid_pos=at, panels=[]))
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            at = panel.grid_pos or GridPos()
            if x + at.w > _WIDTH:
                x, y, height = 0, y + height, 0
            panel.id_val, panel.grid_pos = len(placed) + 1, GridPos(h=at.h, w=at.w, x=x, y=y)
            placed.append(panel)
            x, height = x + at.w, max(height, at.h)
        y += height
    return placed
