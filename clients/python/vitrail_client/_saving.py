"""A download → a file that is there whole, or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

PIECE = 1 << 20


@contextmanager
def saved(path: str | PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which takes the path's place in the end; OSError where that cannot be."""
    whole = Path(path)
    part = whole.with_name(f".{whole.name[:64]}.{uuid4().hex[:8]}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(whole)
    finally:
        part.unlink(missing_ok=True)
