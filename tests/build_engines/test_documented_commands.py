"""The documentation's commands are ones that the builder takes."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from build_engines.__main__ import app
from build_engines.catalog.loader import find

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


def _commands() -> list[str]:
    """Each command line in a code block that starts the builder, with its continuations joined."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES).replace("\\\n", " ")
    found = re.findall(r"^\s*(?:\$ )?vitrail-build (.*)$", text, re.MULTILINE)
    return sorted({line.strip() for line in found if "…" not in line})


def test_there_are_commands() -> None:
    """The documentation shows how to use the builder at all."""
    assert len(_commands()) >= 20


@pytest.mark.parametrize("line", _commands())
def test_the_command_is_understood(line: str) -> None:
    """Every documented command exists, with its options and arguments, and builds what can be found."""
    name, *words = shlex.split(line, comments=True)
    group: Any = get_command(app)
    command = group.commands[name]
    context = command.make_context(name, words)
    for wanted in (context.params.get("names") or ()) if name == "build" else ():
        assert find(wanted)
