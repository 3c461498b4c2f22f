"""Damaged image files without end, each of which can be made again by its number alone."""

import random
from pathlib import Path

import numpy as np

from contract.image import DecodeLimits, ImageTooLarge, InvalidImage, decode
from tests.contract.image_files import broken

SEEDS = Path(__file__).with_name("seeds")
LIMITS = DecodeLimits(max_pixels=1_000_000)


def read_seeds(folder: Path = SEEDS) -> dict[str, bytes]:
    """The files that damage begins with, by name and in a fixed order."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def damaged(seeds: dict[str, bytes], number: int) -> bytes:
    """The input of that number: a seed that was damaged once or more, or begun with one and ended with another."""
    chance = random.Random(number)  # noqa: S311  # damage, not secrets
    names = list(seeds)
    data = seeds[names[number % len(names)]]
    if chance.random() < 0.1:
        other = seeds[chance.choice(names)]
        data = data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = broken(data, chance)
    return data


def check(data: bytes, *, trimap: bool = False) -> None:
    """Decode: pixels within the limits or one of the two errors; everything else is raised."""
    try:
        pixels = decode(data, LIMITS, trimap=trimap)
    except (InvalidImage, ImageTooLarge) as error:
        told = str(error)
        if not told or "/" in told or "0x" in told:
            raise AssertionError(f"a message that is not for callers: {told!r}") from error
        return
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != (4 if trimap else 3):
        raise AssertionError(f"pixels of {pixels.dtype} {pixels.shape}")
    LIMITS.check(pixels.shape[1], pixels.shape[0])
