"""The corpus of hostile images, made when it is wanted: ``python -m tests.hostile.corpus FOLDER`` writes it."""

import argparse
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tests.hostile.bombs import Make, Scale, bombs
from tests.hostile.malformed import malformed
from tests.hostile.polyglots import polyglots

SMALL = Scale(pixels=1_000_000, size=200_000)
"""For tests: the same attacks, in a moment."""
FULL = Scale(pixels=50_000_000, size=30_000_000)
"""As far as the service's default limits let them go."""


def corpus(scale: Scale) -> Iterator[tuple[str, Make]]:
    """Every hostile file by its name; made when it is called for, and never kept."""
    return chain(malformed(), polyglots(), bombs(scale))


def write(folder: Path, scale: Scale) -> int:
    """Write all of them, by their names; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    files = list(corpus(scale))
    for name, make in files:
        (folder / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")).write_bytes(make())
    return len(files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="as large as the default limits allow (minutes, 1 GB)")
    arguments = parser.parse_args()
    print(write(arguments.folder, FULL if arguments.full else SMALL), "files")  # noqa: T201
