"""`vitrail-build catalogue`: the outcomes of `build --all` as a page of the documentation."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from build_engines import results
from build_engines.catalog.entry import Entry
from build_engines.catalog.loader import entries
from build_engines.results import Row
from contract.task import Task

_HEAD = (
    "| model | what it is | parameters | published | GMACs | published | way | batches | largest error | TensorRT-RTX |"
)
_RULE = "|---|---|---:|---:|---:|---:|---|---|---:|---|"
_NOTICEABLE = 0.02
_INTRODUCTION = """# The catalogue

Generated; do not edit. Every entry is built with random weights and certified by

    vitrail-build build --all --weights random --engine tensorrt-rtx --discard --results catalogue.jsonl

and `vitrail-build catalogue catalogue.jsonl` writes this page.
"""
_EXPLANATION = """- Largest error: the largest difference between the compiled model and its source over all batch sizes
  and slots, relative to the output's largest magnitude; 1e-3 is allowed. Where an answer has places or classes (boxes,
  masks, class maps), those must agree besides. A `!` marks a figure that is more than 2 % off the published one.
"""


def command(
    file: Annotated[Path, typer.Argument(help="What `build --all --results FILE` wrote.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("docs/catalogue.md"),
) -> None:
    """Write the catalogue's page from the outcomes of its builds."""
    rows = results.read(file)
    out.write_text(page(entries(), rows), encoding="utf-8")
    typer.echo(f"{out}: {results.certified_share(rows.values()):.1%} of {len(rows)} certified")


def page(listed: tuple[Entry, ...], rows: dict[str, Row]) -> str:
    """The page in Markdown: a summary, a table for each task, and every failure with its diagnosis."""
    known = [rows[entry.name] for entry in listed if entry.name in rows]
    missing = [entry.name for entry in listed if entry.name not in rows]
    return "\n".join([*_summary(known, missing), *_tables(listed, rows), *_failures(known), *_remarks(known)]) + "\n"


def _summary(rows: list[Row], missing: list[str]) -> Iterator[str]:
    certified = sum(row.certified for row in rows)
    plans = [row.plan for row in rows if row.plan is not None]
    yield _INTRODUCTION
    yield f"- **{certified} of {len(rows)} entries are certified ({results.certified_share(rows):.1%}).**"
    if plans:
        share = sum(plans) / len(plans)
        yield f"- **{sum(plans)} of {len(plans)} have a TensorRT-RTX plan ({share:.1%}).** Plans are built without a"
        yield "  GPU, hence not certified, and not offered until they are."
    if missing:
        yield f"- Not built yet: {', '.join(missing)}."
    yield _EXPLANATION


def _tables(listed: tuple[Entry, ...], rows: dict[str, Row]) -> Iterator[str]:
    for task in Task:
        chosen = [entry for entry in listed if entry.task is task and entry.name in rows]
        if chosen:
            yield from (f"## {task}", "", _HEAD, _RULE, *(_line(entry, rows[entry.name]) for entry in chosen), "")


def _line(entry: Entry, row: Row) -> str:
    cells = (
        f"`{row.name}`",
        f"[{entry.description.rstrip('.')}]({entry.reference})" if entry.reference else entry.description.rstrip("."),
        f"{row.parameters:,}" if row.parameters else "",
        _published(row.parameters, entry.published.parameters, "{:,}"),
        f"{row.gmacs:.3g}" if row.gmacs else "",
        _published(row.gmacs, entry.published.gmacs, "{:.3g}") if _same_size(entry) else "",
        row.exporter or "",
        f"1 … {row.batch_sizes[-1]}" if row.batch_sizes else "",
        f"{row.max_relative_error:.0e}" if row.certified and row.max_relative_error is not None else "not certified",
        _plan(row),
    )
    return "| " + " | ".join(cells) + " |"


def _published(measured: float | None, published: float | None, form: str) -> str:
    if published is None:
        return ""
    text = form.format(published)
    return text if measured is None or abs(measured - published) <= _NOTICEABLE * published else f"{text} !"


def _same_size(entry: Entry) -> bool:
    """Whether the published work holds for the size that the entry is built at."""
    resolution = entry.published.resolution
    return (
        resolution is None
        or entry.preprocess is None
        or resolution == max(entry.preprocess.height, entry.preprocess.width)
    )


def _plan(row: Row) -> str:
    if row.plan is None:
        return ""
    return f"{(row.plan_bytes or 0) / 1e6:.0f} MB in {row.plan_seconds or 0:.0f} s" if row.plan else "no"


def _failures(rows: Iterable[Row]) -> Iterator[str]:
    failed = [row for row in rows if not row.certified]
    unplanned = [row for row in rows if row.plan is False]
    if failed:
        yield from ("## Not certified", "")
        yield from (f"- `{row.name}`, step {row.step}: {_one_line(row.reason)}" for row in failed)
        yield ""
    if unplanned:
        yield from ("## No TensorRT-RTX plan", "")
        yield from (f"- `{row.name}`: {_one_line(row.plan_problem)}" for row in unplanned)
        yield ""


def _remarks(rows: Iterable[Row]) -> Iterator[str]:
    told = [
        (row.name, remark)
        for row in rows
        for remark in (*row.warnings, *row.notes)
        if not remark.startswith("no plan: ")  # These stand in a list of their own.
    ]
    if told:
        yield from ("## Remarks of the builds", "")
        yield from (f"- `{name}`: {_one_line(remark)}" for name, remark in told)


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
