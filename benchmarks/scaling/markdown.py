"""Paragraphs and lists of a Markdown text, broken at the repository's width."""

import re
import textwrap

WIDTH = 120


def wrapped(text: str) -> str:
    """Break paragraphs and list items anew; headings, tables, pictures and code stay as they are."""
    return "\n\n".join(_block(block) for block in text.split("\n\n"))


def _block(block: str) -> str:
    if block.startswith(("|", "#", "!", "    ", "```")) or not block.strip():
        return block
    items = re.split(r"\n(?=- )", block.strip("\n"))
    tail = "\n" * (len(block) - len(block.rstrip("\n")))
    return "\n".join(_item(item) for item in items) + tail


def _item(item: str) -> str:
    indent = "  " if item.startswith("- ") else ""
    text = " ".join(line.strip() for line in item.splitlines())
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
