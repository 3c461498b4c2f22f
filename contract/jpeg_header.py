"""What stands before the first scan of a JPEG (ITU-T T.81, annex B), read in bounded time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from contract.exif import orientation

JPEG = b"\xff\xd8\xff"
"""How every JPEG begins."""

# Fill bytes and stray ones before a marker are passed over, as libjpeg does.
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_START_OF_SCAN = 0xDA
_BARE = frozenset({0x01, *range(0xD0, 0xDA)})
"""Markers that no length follows."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ONE_PASS_FRAMES = frozenset({0xC0, 0xC1, 0xC9})
_APP1 = 0xE1
_NEEDLESS = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
"""Application segments and comments; of them only JFIF's (0xE0) and Adobe's (0xEE) say how colours are written."""
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_MOST_SEGMENTS = 4_096


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a decoder must know beforehand."""

    orientation: int
    """By its EXIF or XMP segment; 1 is upright."""
    scans: int
    """At most so many scans follow."""
    width: int
    height: int


def read_header(data: bytes) -> JpegHeader | None:
    """The header of a JPEG; None where no scan begins within its first 4,096 segments."""
    exif: list[bytes] = []
    xmp = b""
    one_pass, components, width, height = False, 0, 0, 0
    for marker, start, end in _segments(data):
        if marker == _APP1:
            text = data[start + 4 : end]
            if text.startswith(_EXIF):
                exif.append(text[6:])
            elif text.startswith(_XMP):
                xmp = text
        elif marker in _FRAMES:
            one_pass, components = marker in _ONE_PASS_FRAMES, int.from_bytes(data[start + 9 : start + 10])
            height, width = int.from_bytes(data[start + 5 : start + 7]), int.from_bytes(data[start + 7 : start + 9])
        elif marker == _START_OF_SCAN:
            # Only where all components come in the first scan, a further one is an error to libjpeg.
            single = one_pass and data[start + 4 : start + 5] == bytes([components])
            scans = 1 if single else _scans(data, start)
            return JpegHeader(orientation(b"".join(exif), xmp) if exif or xmp else 1, scans, width, height)
    return None


def _scans(data: bytes, start: int) -> int:
    # `bytes.count` takes twenty times as long.
    held = np.frombuffer(data, np.uint8, offset=start)
    return int(np.count_nonzero((held[:-1] == 0xFF) & (held[1:] == _START_OF_SCAN)))


def without_metadata(data: bytes) -> bytes:
    """The same picture without comments, profiles, previews and all else that is not needed to decode it."""
    kept, position = [data[:2]], 2
    for marker, start, end in _segments(data):
        position = start if marker == _START_OF_SCAN else end
        if marker != _START_OF_SCAN and marker not in _NEEDLESS:
            kept.append(data[start:end])
    return b"".join([*kept, data[position:]])


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, first byte and end of each segment, the last of them that of the first scan."""
    position = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None:
            return
        start = found.start()
        marker = data[start + 1]
        length = 0 if marker in _BARE else int.from_bytes(data[start + 2 : start + 4])
        position = start + 2 + length
        yield marker, start, position
        if marker == _START_OF_SCAN:
            return
