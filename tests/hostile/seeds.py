"""``python -m tests.hostile.seeds`` writes the seeds: small sound files of every kind, and the oddest of the others."""

import re
from itertools import chain

from tests.contract.image_files import every_format
from tests.hostile.bombs import Scale, bombs
from tests.hostile.fuzzing import SEEDS
from tests.hostile.malformed import malformed
from tests.hostile.polyglots import polyglots

MOST_BYTES = 5_000
_TINY = Scale(pixels=10_000, size=1_000)
_ODD = re.compile(
    r"odd:|.*(in itself|that lies|film|frame|restarts|orientation of|resolution of|strips|scans|rle|tile)"
)


def seeds() -> dict[str, bytes]:
    """Contents by file name."""
    odd = {
        name: make()
        for name, make in chain(malformed(), polyglots(), bombs(_TINY))
        if _ODD.match(name) and " cut at " not in name
    }
    named = {re.sub(r"[^a-z0-9]+", "-", name).strip("-"): data for name, data in {**every_format(), **odd}.items()}
    return {name: data for name, data in sorted(named.items()) if len(data) < MOST_BYTES}


if __name__ == "__main__":
    SEEDS.mkdir(exist_ok=True)
    for name, data in seeds().items():
        (SEEDS / name).write_bytes(data)
