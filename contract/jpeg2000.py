"""Which JPEG 2000 files are of the plainest kind (ISO/IEC 15444-1, annexes A and I)."""

import re
import struct

_CODESTREAM = b"\xff\x4f\xff\x51"
"""The two markers that begin one; its size comes next."""
_SIZE = struct.Struct(">HHIIIIIIIIH")
_BYTE = b"\x07\x01\x01"
"""A component of 8 bits without a sign, one for each pixel."""
_PLAIN_COLOURS = re.compile(rb"colr\x01..\0\0\0[\x10\x11]", re.DOTALL)
"""The box that says sRGB or grey."""


def tiles_in(data: bytes) -> int:
    """How many tiles a file's codestream has; of several, or what looks like one, the most."""
    most, start = 0, data.find(_CODESTREAM)
    while 0 <= start <= len(data) - len(_CODESTREAM) - _SIZE.size:
        _, _, right, bottom, _, _, wide, high, left, top, _ = _SIZE.unpack_from(data, start + len(_CODESTREAM))
        if wide and high:
            most = max(most, -(-max(right - left, 0) // wide) * -(-max(bottom - top, 0) // high))
        start = data.find(_CODESTREAM, start + 1)
    return most


def is_plain(data: bytes, width: int, height: int) -> bool:
    """Whether a file holds one picture of that size, grey or sRGB, 8 bits a channel, neither shifted nor subsampled."""
    start = data.find(_CODESTREAM)
    if start < 0 or data.find(_CODESTREAM, start + 1) >= 0:
        return False
    place = start + len(_CODESTREAM)
    if place + _SIZE.size > len(data):
        return False
    length, _, right, bottom, left, top, _, _, tiles_left, tiles_top, components = _SIZE.unpack_from(data, place)
    shifted = left or top or tiles_left or tiles_top
    if (right, bottom) != (width, height) or shifted or components not in (1, 3) or length != 38 + 3 * components:
        return False
    head = data[:start]
    colours_known = start == 0 or (head.count(b"colr") == 1 and _PLAIN_COLOURS.search(head) is not None)
    return colours_known and data[place + _SIZE.size :].startswith(_BYTE * components)
