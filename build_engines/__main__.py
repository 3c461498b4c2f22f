"""The command line: `vitrail-build list` and `vitrail-build build`."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from build_engines.catalog.entry import Entry
from build_engines.catalog.loader import UnknownEntry, defaults, entries, find
from build_engines.report import ConsoleReport, JsonReport, Report, print_json
from contract.repository import Repository

if TYPE_CHECKING:
    from build_engines.artifact import Weights

app = typer.Typer(
    help="Compile vision models into certified versions of a model repository.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended, by the shells' convention."""

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")]


@app.command("list")
def list_entries(*, as_json: JsonFlag = False) -> None:
    """Show what can be built."""
    if as_json:
        for entry in entries():
            print_json(entry.model_dump(mode="json"))
        return
    console = Console(highlight=False, soft_wrap=True)
    for entry in entries():
        size = f"{entry.preprocess.height} x {entry.preprocess.width}" if entry.preprocess else "timm's size"
        console.print(f"[bold]{entry.name}[/]{' (default)' if entry.default else ''}: {entry.task}, {size}")
        console.print(f"    {entry.description}", markup=False)
    console.print("Build the default ones that are absent: vitrail-build build --default")
    console.print("Any other classifier of timm: vitrail-build build timm:NAME")


@app.command("build")
def build_models(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME…", help="Catalogue entries, or timm:NAME."),
    ] = None,
    *,
    default: Annotated[bool, typer.Option("--default", help="Build the default models that are absent.")] = False,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    weights: Annotated[str, typer.Option(help="'pretrained', 'random', or the path of a checkpoint.")] = "pretrained",
    resolution: Annotated[int | None, typer.Option(min=1, max=8192, help="Side of the square input.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Default: the next free one.")] = None,
    images: Annotated[Path | None, typer.Option(help="A folder of photographs to verify with.")] = None,
    as_json: JsonFlag = False,
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in the code a step failed.")] = False,
) -> None:
    """Build models, verify them against their sources, and write them into the repository."""
    report: Report = JsonReport() if as_json else ConsoleReport()
    target = Repository(repository)
    try:
        wanted = _wanted(names or [], target, report, default=default)
    except UnknownEntry as error:
        report.refused(str(error))
        raise typer.Exit(2) from error
    if not wanted:
        return
    # torch takes seconds to import; `list` and a complete repository need not wait for it.
    from build_engines.artifact import Order, StepFailed  # noqa: PLC0415
    from build_engines.pipeline import build  # noqa: PLC0415

    for entry in wanted:
        order = Order(entry, target, _weights(weights), resolution, version, images)
        report.begins(entry.name)
        try:
            report.built(build(order, report))
        except KeyboardInterrupt as interruption:
            report.interrupted(entry.name)
            raise typer.Exit(_INTERRUPTED) from interruption
        except StepFailed as failure:
            report.failed(entry.name, failure)
            if traceback:
                raise
            raise typer.Exit(1) from failure


def main() -> None:
    """Run the command line; being told to end (SIGTERM) is treated as Ctrl-C is, so that both clear up."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()


def _wanted(names: list[str], repository: Repository, report: Report, *, default: bool) -> list[Entry]:
    """The entries to build; of the defaults, those that the repository lacks."""
    wanted = [find(name) for name in names]
    if default:
        for entry in defaults():
            if repository.versions(entry.name):
                report.present(entry.name)
            else:
                wanted.append(entry)
    elif not wanted:
        raise UnknownEntry("name what to build: entries of the catalogue, timm:NAME, or --default")
    return list({entry.name: entry for entry in wanted}.values())


def _weights(text: str) -> "Weights":
    if text == "pretrained":
        return "pretrained"
    return "random" if text == "random" else Path(text)


if __name__ == "__main__":
    main()
