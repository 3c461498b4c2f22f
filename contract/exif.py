"""The directories of TIFF files and EXIF blocks, read no further than an image needs.

Pillow reads them whole, and makes an object of several hundred bytes of each number that it looks at: a file of 32 MB
could take it more than 10 s and 1 GB. What a picture needs of them is its orientation.
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_ORIENTATION = 0x0112
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_SHORT, _LONG = 3, 4
_INTEGERS = {_SHORT: 2, _LONG: 4, 13: 4, 16: 8, 18: 8}
"""Bytes of each type that may hold a whole number without a sign."""
_BYTES_OF = {3: 2, 4: 4, 5: 8, 6: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one value, by type; types 1, 2 and 7 are bytes and text, of which no numbers are made."""
_FURTHER = (0x8769, 0x8825, 0xA005)
"""Tags that tell where another directory stands: EXIF, GPS, interoperability."""
_MOST_ENTRIES = 4_096
_DEPTH = 3
_TOO_MANY = 1 << 32
"""Told of a directory that is not looked at to its end."""

_PREFIX = re.compile(rb"(?:Exif\0\0){1,2}")
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')

TIFF_MAGICS = (b"MM\0*", b"II*\0", b"MM*\0", b"II\0*", b"MM\0+", b"II+\0")
"""How files begin that Pillow takes for TIFF, the last two with addresses of 64 bits."""


class _Entry(NamedTuple):
    tag: int
    type: int
    length: int
    """So many values."""
    value: bytes
    """The value itself, or where it stands if it takes more bytes than these."""


class _Tiff(NamedTuple):
    """A TIFF structure, and how its numbers are written."""

    data: bytes
    big: bool
    """With addresses of 64 bits (BigTIFF)."""

    @property
    def _order(self) -> str:
        return ">" if self.data[:2] == b"MM" else "<"

    def number(self, value: bytes) -> int:
        """Bytes as a number without a sign."""
        return int.from_bytes(value, "big" if self._order == ">" else "little")

    @property
    def first(self) -> int:
        """Where the first directory stands."""
        return self.number(self.data[8:16] if self.big else self.data[4:8])

    def crowded(self, offset: int) -> bool:
        """Whether the directory there tells of more entries than are looked at."""
        return self.number(self.data[offset : offset + (8 if self.big else 2)]) > _MOST_ENTRIES

    def value(self, entry: _Entry) -> int:
        """The first number of an entry, beside it or where it says."""
        size = _BYTES_OF.get(entry.type, 1)
        if size <= len(entry.value):
            return self.number(entry.value[:size])
        start = self.number(entry.value)
        return self.number(self.data[start : start + size])

    def entries(self, offset: int) -> Iterator[_Entry]:
        """The entries of the directory at ``offset``, as far as they are there."""
        form, width = struct.Struct(self._order + ("HHQ8s" if self.big else "HHL4s")), 8 if self.big else 2
        start = offset + width
        count = min(self.number(self.data[offset:start]), _MOST_ENTRIES)
        held = self.data[start : start + count * form.size]
        return map(_Entry._make, form.iter_unpack(held[: len(held) // form.size * form.size]))


def _tiff(data: bytes) -> _Tiff | None:
    return _Tiff(data, b"+" in data[:4]) if data[:4] in TIFF_MAGICS else None


def orientation(exif: bytes, xmp: bytes = b"") -> int:
    """The orientation 1…8 that an EXIF block or else an XMP packet tells (EXIF 2.32, tag 0x0112).

    Either may be empty, or nonsense. What they do not tell is 1, upright; what they tell wrongly is given as it is.
    """
    tiff = _tiff(_PREFIX.sub(b"", exif, count=1) if exif.startswith(b"Exif") else exif)
    for entry in () if tiff is None else tiff.entries(tiff.first):
        if entry.tag == _ORIENTATION:
            size = _INTEGERS.get(entry.type, 0) if entry.length == 1 else 0
            return tiff.number(entry.value[:size]) if tiff is not None and 0 < size <= 4 else 1
    found = _XMP_ORIENTATION.search(xmp)
    return int(found[1]) if found else 1


def numbers_in(file: bytes) -> int:
    """How many numbers a TIFF's first directory holds, with those that it leads to; 0 for what is no TIFF.

    What lies beyond the file's end does not count, for nobody could read it.
    """
    tiff = _tiff(file)
    return 0 if tiff is None else _numbers(tiff, tiff.first, _DEPTH)


def tile_in(file: bytes) -> tuple[int, int]:
    """Width and height of a TIFF's tiles as libtiff may see them, where Pillow stops earlier; 1 and 1 without any."""
    tiff = _tiff(file)
    wide = high = 1
    for entry in () if tiff is None else tiff.entries(tiff.first):
        if entry.tag == _TILE_WIDTH and tiff is not None:
            wide = max(wide, tiff.value(entry))
        elif entry.tag == _TILE_LENGTH and tiff is not None:
            high = max(high, tiff.value(entry))
    return wide, high


def _numbers(tiff: _Tiff, offset: int, depth: int) -> int:
    total = _TOO_MANY if tiff.crowded(offset) else 0
    for entry in tiff.entries(offset):
        size = _BYTES_OF.get(entry.type)
        if size is None or entry.length * size > len(tiff.data):
            continue
        total += entry.length
        if entry.tag in _FURTHER and entry.length == 1 and depth and entry.type in _INTEGERS:
            total += _numbers(tiff, tiff.number(entry.value[: _INTEGERS[entry.type]]), depth - 1)
    return total
