"""`vitrail-build import`: an ONNX file and a card that describes it → a certified version."""

from pathlib import Path
from typing import Annotated

import typer

from build_engines.catalog.import_card import CardError, read
from build_engines.commands.build import cache_folder
from build_engines.report import ConsoleReport, JsonReport, Report
from contract.repository import Repository

_INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended, by the shells' convention."""
_MISUSED = 2


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL.ONNX", help="The network, with its weights.")],
    *,
    card: Annotated[Path, typer.Option(help="What it takes and gives, in YAML; docs/import.md explains it.")],
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    resolution: Annotated[
        int | None, typer.Option(min=1, max=8192, help="Side of the square input, where the graph leaves it open.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the next free one.")] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of photographs to verify with.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Certify anew what was certified before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code a step failed.")] = False,
) -> None:
    """Import an ONNX file: wrap it into the contract's graph, verify that it computes the same, write the version."""
    report: Report = JsonReport() if as_json else ConsoleReport()
    try:
        entry = read(card)
    except CardError as error:
        report.refused(str(error))
        raise typer.Exit(_MISUSED) from error
    # torch takes seconds to import; a card that is wrong is told before.
    from build_engines.artifact import Order, StepFailed  # noqa: PLC0415
    from build_engines.cache import Cache  # noqa: PLC0415
    from build_engines.pipeline import build  # noqa: PLC0415

    order = Order(entry, Repository(repository), model, resolution, version, images)
    report.begins(entry.name)
    try:
        report.built(build(order, report, None if no_cache else Cache(cache_folder())))
    except KeyboardInterrupt as interruption:
        report.interrupted(entry.name)
        raise typer.Exit(_INTERRUPTED) from interruption
    except StepFailed as failure:
        report.failed(entry.name, failure)
        if traceback:
            raise
        raise typer.Exit(1) from failure
