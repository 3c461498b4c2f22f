"""`vitrail-build tune`: how fast a version is on this machine, and which batch sizes to aim at."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from build_engines.commands.measuring import failed, interrupted, progress
from build_engines.report import print_json
from contract.card import ModelCard, Tuning
from contract.repository import Repository

if TYPE_CHECKING:
    # For their types only: the modules bring torch, which takes seconds.
    from build_engines.tune.measure import Point


def command(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME (its newest version) or NAME:VERSION.")],
    *,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="About how long to measure, in all.")] = 30,
    batch_sizes: Annotated[
        str | None, typer.Option(help="Only these, e.g. 1,4,8. Default: all that the certificate covers.")
    ] = None,
    cpus: Annotated[int | None, typer.Option(min=1, help="Default: the processors that may be used.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the figures into this .png or .svg file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the result, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False,
) -> None:
    """Measure a version by batch size, callers and threads, and write the batch sizes to aim at into its card."""
    from build_engines.artifact import BuildFailure  # noqa: PLC0415
    from build_engines.evaluation.served import read_card  # noqa: PLC0415
    from build_engines.tune.choice import arrangements, certified_sizes  # noqa: PLC0415
    from build_engines.tune.machine import available_cpus, describe  # noqa: PLC0415
    from build_engines.tune.measure import measure  # noqa: PLC0415
    from build_engines.tune.plot import require_suffix, write_plot  # noqa: PLC0415
    from build_engines.tune.run import tuning, write_tuning  # noqa: PLC0415

    target, count = Repository(repository), cpus or available_cpus()
    try:
        if plot is not None:
            require_suffix(plot)
        card = read_card(target, model)
        sizes, ways = certified_sizes(card, batch_sizes), arrangements(count)
        with progress(card.name, show=not as_json) as advance:
            measurements, left_out = measure(target, card, sizes, ways, seconds, advance)
        result = tuning(measurements, describe(count))
        configured = False if dry_run else write_tuning(target, card, result)
        if plot is not None:
            write_plot(result, f"{card.name}:{card.version}", plot)
    except BuildFailure as failure:
        raise failed(model, failure, as_json=as_json) from failure
    except KeyboardInterrupt as interruption:
        raise interrupted(model, as_json=as_json) from interruption
    if as_json:
        print_json(_event(card, result, left_out, written=not dry_run, configured=configured))
    else:
        _print(card, result, left_out, written=not dry_run, configured=configured)


def _event(
    card: ModelCard, result: Tuning, left_out: "Sequence[Point]", *, written: bool, configured: bool
) -> dict[str, Any]:
    return {
        "event": "tuned",
        "model": card.name,
        "version": card.version,
        "tuning": result.model_dump(mode="json"),
        "left_out": [{"batch_size": size, "callers": way.callers, "threads": way.threads} for way, size in left_out],
        "written": written,
        "configured": configured,
    }


def _print(card: ModelCard, result: Tuning, left_out: "Sequence[Point]", *, written: bool, configured: bool) -> None:
    """The figures as a table on stdout, the preferred sizes marked; what to know of them on stderr."""
    table = Table(title=f"{card.name}:{card.version} on {result.machine}")
    for heading in ("batch", "callers", "threads", "p50 ms", "p99 ms", "images/s"):
        table.add_column(heading, justify="right")
    previous = None
    for item in result.measurements:
        way = (item.callers, item.threads)
        if previous not in (None, way):
            table.add_section()
        previous = way
        mark = " *" if item.batch_size in result.preferred_batch_sizes else "  "
        figures = (f"{item.latency_p50_ms:.2f}", f"{item.latency_p99_ms:.2f}", f"{item.images_per_second:.1f}")
        table.add_row(f"{item.batch_size}{mark}", str(item.callers), str(item.threads), *figures)
    Console(emoji=False, highlight=False).print(table)
    remarks = Console(emoji=False, stderr=True, highlight=False, soft_wrap=True)
    if left_out:
        remarks.print(f"! no time was left for {len(left_out)} measurements; give more --seconds", style="yellow")
    remarks.print(f"preferred batch sizes (*): {', '.join(map(str, result.preferred_batch_sizes))}")
    remarks.print(_told(written=written, configured=configured))


def _told(*, written: bool, configured: bool) -> str:
    if not written:
        return "nothing was written"
    if configured:
        return "written into the card and config.pbtxt"
    return "written into the card; config.pbtxt follows the model's newest version, and is as it was"
