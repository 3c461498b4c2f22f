"""An entry for a user's own code."""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from build_engines.catalog.entry import Entry, ExternalSource, PyramidHead
from contract.task import Task


def entry_from(
    factory: str,
    code_path: Path,
    options: Mapping[str, JsonValue],
    task: Task,
    *,
    name: str | None = None,
    head: PyramidHead | None = None,
) -> Entry:
    """The entry for ``package.module:factory`` in the folder ``code_path``; ValidationError for another form.

    How its pixels are prepared is left open: the code may say so itself (see docs/own_code.md), or the task's usual
    way holds.
    """
    folder = code_path.resolve()
    return Entry(
        name=name or _name(factory),
        task=task,
        head=head,
        description=f"{factory} of {folder.name}",
        source=ExternalSource(entry=factory, code_path=str(folder), options=dict(options)),
        licence="see the code's own",
    )


def _name(factory: str) -> str:
    last = re.split(r"[:.]", factory)[-1].lower()
    return re.sub(r"[^a-z0-9_.-]", "_", last).lstrip("_.-") or "own_code"
