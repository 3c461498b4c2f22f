"""`vitrail-build report`: one page that compares versions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from build_engines.report import print_json
from contract.repository import Repository


def command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL…]", help="NAME (all versions) or NAME:VERSION. Default: all.")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False,
) -> None:
    """Write one HTML page that compares versions: accuracy against latency against size."""
    # The plotting library takes a second to import; other commands need not wait for it.
    from build_engines.comparison.page import page  # noqa: PLC0415
    from build_engines.comparison.rows import NothingToCompare, read_rows  # noqa: PLC0415

    try:
        rows, problems = read_rows(Repository(repository), models or [])
        out.write_text(page(rows, problems, datetime.now(UTC)), encoding="utf-8")
    except NothingToCompare as error:
        raise _failed(str(error), as_json=as_json) from error
    except OSError as error:
        raise _failed(f"{out} cannot be written: {error.strerror}", as_json=as_json) from error
    if as_json:
        names = [row.name for row in rows]
        print_json({"event": "reported", "path": str(out), "versions": names, "problems": problems})
        return
    console = Console(emoji=False, stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        console.print(f"! {problem}", style="yellow", markup=False)
    console.print(f"{len(rows)} versions → {out}", markup=False)


def _failed(reason: str, *, as_json: bool) -> typer.Exit:
    if as_json:
        print_json({"event": "failed", "reason": reason})
    else:
        Console(emoji=False, stderr=True, highlight=False, soft_wrap=True).print(
            f"✗ {reason}", style="red", markup=False
        )
    return typer.Exit(1)
