"""What the commands that measure a version say while they run, and when they cannot go on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from build_engines.report import print_json

if TYPE_CHECKING:
    # For its type only: the module brings torch, which takes seconds.
    from build_engines.artifact import BuildFailure

_INTERRUPTED = 130
"""The exit status of a command that Ctrl-C ended, by the shells' convention."""

Advance = Callable[[int, int], None]
"""Hears of progress: how much is done, and how much there is in all."""


@contextmanager
def progress(model: str, *, show: bool) -> Iterator[Advance]:
    """A bar on stderr, which shows on a terminal only."""
    console = Console(emoji=False, stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (show and console.is_terminal)) as progress:
        bar = progress.add_task(model, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def failed(model: str, failure: "BuildFailure", *, as_json: bool) -> typer.Exit:
    """Say why a version cannot be measured, and what to do; the exit to raise."""
    if as_json:
        print_json({"event": "failed", "model": model, "reason": failure.reason, "remedy": failure.remedy})
    else:
        console = Console(emoji=False, stderr=True, highlight=False, soft_wrap=True)
        console.print(f"✗ {model}: {failure.reason}", style="red", markup=False)
        console.print(f"  What to do: {failure.remedy}", markup=False)
    return typer.Exit(1)


def interrupted(model: str, *, as_json: bool) -> typer.Exit:
    """Say that the command was stopped, and that the card is as it was; the exit to raise."""
    if as_json:
        print_json({"event": "interrupted", "model": model})
    else:
        console = Console(emoji=False, stderr=True, highlight=False)
        console.print(f"✗ {model}: interrupted; the card is as it was", style="red", markup=False)
    return typer.Exit(_INTERRUPTED)
