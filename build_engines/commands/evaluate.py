"""`vitrail-build evaluate`: how accurate a version is on a data set."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from build_engines.commands.measuring import failed, interrupted, progress
from build_engines.evaluation.kinds import Kind, MaskValues
from build_engines.report import print_json
from contract.repository import Repository

if TYPE_CHECKING:
    # For their types only: the modules bring torch, which takes seconds.
    from build_engines.evaluation.run import Outcome
    from contract.card import ModelCard

_NAMED = 5
"""How many unreadable pictures are named to a person."""


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME (its newest version) or NAME:VERSION.")],
    data: Annotated[Path, typer.Option(help="The data set's folder.")],
    *,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    kind: Annotated[Kind | None, typer.Option(help="Default: what the folder's layout shows.")] = None,
    annotations: Annotated[Path | None, typer.Option(help="COCO's JSON file, where there are several.")] = None,
    mask_values: Annotated[
        MaskValues | None, typer.Option(help="What masks hold: class numbers, those plus 1, or Cityscapes' labelIds.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The data set's name in the card. Default: the folder's name.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Measure heat maps by insertion and deletion, on any pictures.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many pictures, evenly spread.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Largest batch; certified sizes up to this are used.")] = 8,
    threads: Annotated[int | None, typer.Option(min=1, help="Default: the processors that may be used.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the result, and leave the card as it is.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False,
) -> None:
    """Measure a version's accuracy on a data set, the way it is served, and write it into its card."""
    from build_engines.artifact import BuildFailure  # noqa: PLC0415
    from build_engines.evaluation import insertion_deletion  # noqa: PLC0415
    from build_engines.evaluation.datasets import open_data_set, pictures_in  # noqa: PLC0415
    from build_engines.evaluation.run import evaluate, write_result  # noqa: PLC0415
    from build_engines.evaluation.served import ServedModel, read_card  # noqa: PLC0415
    from build_engines.tune.machine import available_cpus  # noqa: PLC0415

    target, start = Repository(repository), time.perf_counter()
    try:
        card = read_card(target, model)
        served = ServedModel(target, card, threads or available_cpus())
        with progress(card.name, show=not as_json) as advance:
            if explain:
                _require_pictures_only(kind, annotations, mask_values)
                outcome = insertion_deletion.evaluate(served, pictures_in(data), batch_size, limit, advance)
            else:
                found = open_data_set(data, kind, annotations, mask_values)
                outcome = evaluate(served, found, batch_size, limit, advance)
        name = _name(dataset or data.resolve().name, outcome)
        if not dry_run:
            write_result(target, card, outcome, name)
    except BuildFailure as failure:
        raise failed(model, failure, as_json=as_json) from failure
    except KeyboardInterrupt as interruption:
        raise interrupted(model, as_json=as_json) from interruption
    if as_json:
        print_json(_event(card, outcome, name, time.perf_counter() - start, written=not dry_run))
    else:
        _print(card, outcome, name, written=not dry_run)


def _require_pictures_only(*chosen: object) -> None:
    from build_engines.artifact import BuildFailure  # noqa: PLC0415

    if any(item is not None for item in chosen):
        raise BuildFailure(
            "--explain asks pictures for nothing but themselves", "leave --kind, --annotations and --mask-values out"
        )


def _name(dataset: str, outcome: "Outcome") -> str:
    """The data set's name; a part of it is named as such, so that it never stands for the whole."""
    asked = outcome.images + len(outcome.unreadable)
    return dataset if asked == outcome.total else f"{dataset} ({asked} of {outcome.total})"


def _event(card: "ModelCard", outcome: "Outcome", dataset: str, seconds: float, *, written: bool) -> dict[str, Any]:
    return {
        "event": "evaluated",
        "model": card.name,
        "version": card.version,
        "trained": card.provenance.trained,
        "dataset": dataset,
        "images": outcome.images,
        "metrics": outcome.metrics,
        "unreadable": [{"path": str(item.path), "reason": item.reason} for item in outcome.unreadable],
        "notes": outcome.notes,
        "written": written,
        "seconds": round(seconds, 3),
    }


def _print(card: "ModelCard", outcome: "Outcome", dataset: str, *, written: bool) -> None:
    """The figures as a table on stdout; what to know of them on stderr."""
    remarks = Console(emoji=False, stderr=True, highlight=False, soft_wrap=True)
    for note in outcome.notes:
        remarks.print(f"! {note}", style="yellow", markup=False)
    if outcome.unreadable:
        remarks.print(f"! pictures that could not be used: {len(outcome.unreadable)}", style="yellow", markup=False)
    for item in outcome.unreadable[:_NAMED]:
        remarks.print(f"    {item.path}: {item.reason}", markup=False)
    if not card.provenance.trained:
        remarks.print("! random weights: the figures mean nothing", style="yellow", markup=False)
    table = Table()
    table.add_column("metric")
    table.add_column("value", justify="right")
    for metric, value in outcome.metrics.items():
        table.add_row(metric, f"{value:.4f}")
    console = Console(emoji=False, highlight=False)
    console.print(f"{card.name}:{card.version} on {dataset}, {outcome.images} pictures", markup=False)
    console.print(table)
    remarks.print("written into the card" if written else "the card is left as it was", markup=False)
