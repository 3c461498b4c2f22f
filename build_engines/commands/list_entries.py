"""`vitrail-build list`: what can be built."""

from typing import Annotated, Any

import typer
from rich.console import Console

from build_engines.catalog.entry import Entry
from build_engines.catalog.loader import entries
from build_engines.report import print_json


def command(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines to stdout and nothing else.")] = False
) -> None:
    """Show what can be built."""
    if as_json:
        for entry in entries():
            print_json(described(entry))
        return
    console = Console(emoji=False, highlight=False, soft_wrap=True)
    for entry in entries():
        size = f"{entry.preprocess.height} x {entry.preprocess.width}" if entry.preprocess else "the library's size"
        parameters = f", {entry.published.parameters / 1e6:.3g} M parameters" if entry.published.parameters else ""
        console.print(f"[bold]{entry.name}[/]{' (default)' if entry.default else ''}: {entry.task}, {size}{parameters}")
        console.print(f"    {entry.description} Weights: {origin(entry)}; {entry.licence}.", markup=False)
    console.print("Build the default ones that are absent: vitrail-build build --default")
    console.print("Any other classifier of timm: vitrail-build build timm:NAME")
    console.print("Any other vision model of transformers: vitrail-build build transformers:TYPE --task TASK")
    console.print("Your own code: vitrail-build build --entry package.module:factory --code-path DIR --task TASK")


def described(entry: Entry) -> dict[str, Any]:
    """All fields of the entry, with its parameters and the weights' origin at hand."""
    return entry.model_dump(mode="json") | {"parameters": entry.published.parameters, "origin": origin(entry)}


def origin(entry: Entry) -> str:
    """Where the entry's weights come from, in words."""
    if entry.weights.kind == "package":
        return f"package {entry.weights.distribution}"
    if entry.head is not None and entry.head.kind != "cam":
        return "a checkpoint of your own (--weights PATH)"
    return f"hub, {entry.weights.id}" if entry.weights.id else "hub, as the library names them"
