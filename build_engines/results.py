"""What became of each build: one JSON object a line, appended as builds end, so that an interrupted run goes on."""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from contract.task import Task


class Row(BaseModel):
    """One entry's outcome."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    task: Task
    source: str
    weights: str
    fingerprint: str
    """The hash of what the outcome depends on; a row with another one is out of date."""
    certified: bool
    parameters: int | None = None
    published_parameters: int | None = None
    gmacs: float | None = None
    published_gmacs: float | None = None
    exporter: str | None = None
    batch_sizes: tuple[int, ...] = ()
    max_relative_error: float | None = None
    step: str | None = None
    """The step that failed."""
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = Field(ge=0)
    plan: bool | None = None
    """Whether a TensorRT-RTX plan was built; None where none was asked for."""
    plan_seconds: float | None = None
    plan_bytes: int | None = None
    plan_problem: str | None = None


def read(path: Path) -> dict[str, Row]:
    """The rows of a file by name, the last of each; a line that is not one (a cut-off end) is passed over."""
    rows: dict[str, Row] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = Row.model_validate_json(line)
            except ValueError:
                continue
            rows[row.name] = row
    return rows


def append(path: Path, row: Row) -> None:
    """Add a row at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False) + "\n")


def certified_share(rows: Iterable[Row]) -> float:
    """The share of rows that are certified, 0…1; 0 where there are none."""
    outcomes = [row.certified for row in rows]
    return sum(outcomes) / len(outcomes) if outcomes else 0.0
