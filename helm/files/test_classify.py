"""`helm test`: a small picture is answered with 200 and one result."""  # noqa: INP001

import json
import os
import struct
import sys
import zlib

from asking import answer

_SIDE = 32


def picture() -> bytes:
    """A PNG of 32 by 32 pixels, made of nothing but the standard library."""
    row = b"\0" + b"".join(bytes((8 * x, 128, 255 - 8 * x)) for x in range(_SIDE))
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _SIDE)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def main() -> None:
    """Ask, and print what came; ends with 1 if it is not as it should be."""
    task = os.environ.get("TASK", "classify")
    told = json.loads(answer(f"{sys.argv[1]}/v1/{task}", picture()))
    if len(told["results"]) != 1:
        sys.exit(f"one picture was sent, and {len(told['results'])} results came")
    print(f"{task} by {told['model']['name']}:{told['model']['version']}")  # noqa: T201


if __name__ == "__main__":
    main()
