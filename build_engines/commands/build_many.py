"""Many builds at once: a progress bar, a table at the end, and outcomes that outlive an interruption."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from build_engines import results
from build_engines.apart import Outcome, build_apart
from build_engines.catalog.entry import Entry
from build_engines.catalog.loader import find
from build_engines.report import JsonReport, Report, print_json
from build_engines.results import Row
from contract.repository import Repository

_TELLING = {"--weights", "--resolution", "--images", "--engine", "--precision"}
"""The options that an outcome depends on."""
_SAID = {"description", "licence", "reference", "notes", "published", "default", "supervision"}
"""What an entry says of a network without changing it."""
_TOOLS = ("torch", "timm", "transformers", "onnxscript", "onnxslim", "onnxruntime")


def build_many(
    names: Sequence[str],
    options: list[str],
    repository: Repository,
    jobs: int,
    patience_s: float,
    file: Path | None,
    report: Report,
    *,
    discard: bool,
) -> int:
    """Build each entry in a process of its own; returns how many of all failed.

    With a file of results, entries whose row there is up to date are not built again. UnknownEntry for a name that
    stands for nothing.
    """
    wanted = {entry.name: (name, entry) for name in names for entry in [find(name)]}
    fingerprints = {name: fingerprint(entry, options) for name, (_, entry) in wanted.items()}
    before = results.read(file) if file else {}
    rows = {name: row for name, row in before.items() if fingerprints.get(name) == row.fingerprint}
    due = [name for name in wanted if name not in rows]
    progress = _progress(report)

    def hear(outcome: Outcome) -> None:
        entry = next(entry for typed, entry in wanted.values() if typed == outcome.name)
        row = row_of(outcome, entry, fingerprints[entry.name], options)
        rows[entry.name] = row
        if file:
            results.append(file, row)
        if discard:
            shutil.rmtree(target.root / entry.name, ignore_errors=True)
        _tell(row, progress, report)
        progress.advance(bar)

    with ExitStack() as undo:
        target = repository
        if discard:
            target = Repository(Path(undo.enter_context(tempfile.TemporaryDirectory())))
            options = [*options, "--repository", str(target.root)]
        undo.enter_context(progress)
        bar = progress.add_task("building", total=len(wanted), completed=len(wanted) - len(due))
        build_apart({wanted[name][0]: _fitting(wanted[name][1], options) for name in due}, jobs, patience_s, hear)
    chosen = [rows[name] for name in wanted if name in rows]
    if not isinstance(report, JsonReport):
        Console(emoji=False).print(_table(chosen))
    return sum(not row.certified for row in chosen)


def _progress(report: Report) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(emoji=False, stderr=True), disable=isinstance(report, JsonReport))


def _fitting(entry: Entry, options: list[str]) -> list[str]:
    """The options for one entry: a finished ONNX graph has no random form, so it is built with its own weights."""
    return [*options, "--weights", "pretrained"] if entry.source.kind == "onnx" else options


def fingerprint(entry: Entry, options: Sequence[str]) -> str:
    """The hash of what an outcome depends on: the entry, how it is built, and with which tools."""
    told = [[option, value] for option, value in pairwise(options) if option in _TELLING]
    if "--explain" in options:
        told.append(["--explain"])
    irrelevant = _SAID | {"weights"} if "random" in options else _SAID
    inputs = {
        "entry": entry.model_dump(mode="json", exclude=irrelevant),
        "options": sorted(told),
        "tools": {tool: version(tool) for tool in _TOOLS},
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def row_of(outcome: Outcome, entry: Entry, mark: str, options: Sequence[str]) -> Row:
    """What becomes of an outcome in the file of results."""
    end = outcome.end
    seconds = sum(event["seconds"] for event in outcome.events if event["event"] == "finished")
    facts = {
        "name": entry.name,
        "task": entry.task,
        "source": entry.source.kind,
        "weights": options[options.index("--weights") + 1] if "--weights" in options else "pretrained",
        "fingerprint": mark,
        "certified": end["event"] == "built",
        "published_parameters": entry.published.parameters,
        "published_gmacs": entry.published.gmacs,
        "seconds": round(seconds, 1),
    }
    if end["event"] == "failed":
        return Row.model_validate(facts | {"step": end["step"], "reason": end["reason"]})
    figures = end["figures"] or {}
    plans = end["plans"]
    compiling = [e["seconds"] for e in outcome.events if e["event"] == "finished" and e["step"] == "compile"]
    return Row.model_validate(
        facts
        | {"parameters": figures.get("parameters"), "gmacs": figures.get("gmacs")}
        | {key: end[key] for key in ("exporter", "batch_sizes", "max_relative_error", "warnings", "notes")}
        | {
            "plan": bool(plans) if compiling else None,
            "plan_seconds": round(compiling[0], 1) if compiling else None,
            "plan_bytes": plans[0]["bytes"] if plans else None,
            "plan_problem": end["plan_problem"],
        }
    )


def _tell(row: Row, progress: Progress, report: Report) -> None:
    if isinstance(report, JsonReport):
        print_json({"event": "outcome", **row.model_dump(mode="json")})
        return
    mark = "[green]✓[/]" if row.certified else "[red]✗[/]"
    progress.console.print(f"  {mark} {row.name} in {row.seconds:.0f} s", highlight=False)
    if row.reason:
        progress.console.print(f"    step {row.step}: {row.reason}", markup=False, highlight=False)


def _table(rows: Sequence[Row]) -> Table:
    table = Table("model", "task", "parameters", "GMACs", "way", "batch sizes", "certificate")
    for row in rows:
        table.add_row(
            row.name,
            row.task,
            f"{row.parameters:,}" if row.parameters else "",
            f"{row.gmacs:.3g}" if row.gmacs else "",
            row.exporter or "",
            f"1 to {row.batch_sizes[-1]}" if row.batch_sizes else "",
            f"off by {row.max_relative_error:.0e}" if row.certified and row.max_relative_error is not None else "none",
        )
    table.caption = f"{results.certified_share(rows):.1%} of {len(rows)} certified"
    return table
