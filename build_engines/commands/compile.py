"""`vitrail-build compile`: TensorRT plans for versions that are in the repository already."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from build_engines.report import print_json
from contract.repository import Repository

if TYPE_CHECKING:
    # For its type only: the module brings ONNX Runtime, which takes a moment.
    from build_engines.compile.repository import Row

_INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended, by the shells' convention."""


def command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL…", help="NAME (its newest version) or NAME:VERSION; none: all.")
    ] = None,
    *,
    repository: Annotated[Path, typer.Option(help="The model repository.")] = Path("model_repository"),
    engine: Annotated[
        Literal["tensorrt", "tensorrt-rtx"], typer.Option(help="tensorrt-rtx builds without a GPU, too.")
    ] = "tensorrt-rtx",
    precision: Annotated[
        Literal["fp32", "fp16", "bf16"], typer.Option(help="Other than fp32: layers that need the range keep it.")
    ] = "fp32",
    timing_cache: Annotated[Path | None, typer.Option(help="A file that makes later builds quicker.")] = None,
    version_compatible: Annotated[
        bool, typer.Option("--version-compatible", help="Runs in later minor versions of TensorRT, too.")
    ] = False,
    hardware_compatible: Annotated[
        bool, typer.Option("--hardware-compatible", help="Runs on other GPUs from Ampere on, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False,
) -> None:
    """Compile versions for TensorRT and write the plans beside their ONNX files; what is up to date stays."""
    from build_engines.artifact import BuildFailure  # noqa: PLC0415
    from build_engines.compile.builder import Options  # noqa: PLC0415
    from build_engines.compile.repository import compile_repository  # noqa: PLC0415
    from build_engines.verify import EngineRunner  # noqa: PLC0415

    options = Options(
        precision,
        timing_cache=timing_cache,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
    )
    shown = _Shown(as_json=as_json)
    try:
        with shown.progress:
            for row in compile_repository(
                Repository(repository), models or [], engine, options, EngineRunner, shown.begins, shown.advance
            ):
                shown.tell(row)
    except BuildFailure as failure:
        shown.refused(failure.reason, failure.remedy)
        raise typer.Exit(1) from failure
    except KeyboardInterrupt as interruption:
        shown.interrupted()
        raise typer.Exit(_INTERRUPTED) from interruption
    if not as_json:
        Console(emoji=False).print(table_of(shown.rows))
    if any(row.outcome == "failed" for row in shown.rows):
        raise typer.Exit(1)


class _Shown:
    """How a person, or a program, sees it go on."""

    def __init__(self, *, as_json: bool) -> None:
        self.rows: list[Row] = []
        self._as_json = as_json
        self._turn: dict[str, str | int] = {}
        self._told = (0, 0)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[phase]}"),
            TimeElapsedColumn(),
            console=Console(emoji=False, stderr=True),
            disable=as_json,
            transient=True,
        )
        self._bar = self.progress.add_task("", total=None, phase="")

    def begins(self, name: str) -> None:
        """A version's turn."""
        model, _, version = name.partition(":")
        self._turn, self._told = {"model": model, "version": int(version)}, (0, 0)
        if self._as_json:
            print_json({"event": "begins", **self._turn})
        self.progress.reset(self._bar, description=name, total=None, phase="reading")

    def advance(self, phase: str, done: int, steps: int) -> bool:
        """The engine's builder is so far; programs hear of whole steps only, for there are many smaller ones."""
        if self._as_json and (done, steps) != self._told:
            print_json({"event": "progress", **self._turn, "phase": phase, "done": done, "steps": steps})
            self._told = (done, steps)
        self.progress.update(self._bar, completed=done, total=steps, phase=phase)
        return True

    def tell(self, row: "Row") -> None:
        """A version is finished."""
        self.rows.append(row)
        if self._as_json:
            print_json({"event": row.outcome.replace(" ", "_"), **event_of(row)})
            return
        if row.reason:
            self.progress.console.print(f"✗ {row.model}: {row.reason}", markup=False, highlight=False)
            self.progress.console.print(f"  What to do: {row.remedy}", markup=False, highlight=False)

    def interrupted(self) -> None:
        """Ctrl-C has stopped it."""
        if self._as_json:
            print_json({"event": "interrupted", **self._turn})
            return
        names = ":".join(map(str, self._turn.values()))
        Console(emoji=False, stderr=True).print(
            f"interrupted at {names}; it has no new plan", style="red", markup=False
        )

    def refused(self, reason: str, remedy: str) -> None:
        """Nothing can be compiled at all."""
        if self._as_json:
            print_json({"event": "refused", "reason": reason, "remedy": remedy})
            return
        console = Console(emoji=False, stderr=True, highlight=False, soft_wrap=True)
        console.print(reason, style="red", markup=False)
        console.print(f"What to do: {remedy}", markup=False)


def event_of(row: "Row") -> dict[str, Any]:
    """A row as JSON."""
    return {
        "model": row.model,
        "version": row.version,
        "seconds": round(row.seconds, 2),
        "bytes": row.size,
        "plan": row.plan.model_dump(mode="json") if row.plan else None,
        "reason": row.reason,
        "remedy": row.remedy,
    }


def table_of(rows: "list[Row]") -> Table:
    """All rows, with the share that has a plan."""
    table = Table("model", "outcome", "seconds", "size", "layers", "certified")
    size: Callable[[int | None], str] = lambda count: f"{count / 1e6:.1f} MB" if count else ""  # noqa: E731
    for row in rows:
        layers = ", ".join(f"{count} {name}" for name, count in (row.plan.layer_precisions if row.plan else {}).items())
        certified = "" if row.plan is None else "yes" if row.plan.certified else "no"
        name = f"{row.model}:{row.version}"
        table.add_row(name, row.outcome, f"{row.seconds:.1f}", size(row.size), layers, certified)
    share = sum(row.outcome != "failed" for row in rows)
    table.caption = f"{share} of {len(rows)} have a plan; one that is not certified is never offered"
    return table
