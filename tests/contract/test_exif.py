"""Orientation out of EXIF and XMP, and what a TIFF's directory would cost."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contract.exif import numbers_in, orientation
from contract.image import decode
from tests.contract.image_files import a_picture, encoded, exif_orientation
from tests.hostile.files import LONG, SHORT, exif_with, tiff_of

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
_BIG = {"<": b"II+\0\x08\0\0\0\x10" + bytes(7), ">": b"MM\0+\0\x08\0\0" + bytes(7) + b"\x10"}


def block(order: str, kind: int, value: int) -> bytes:
    """An EXIF block in either byte order whose orientation is of type ``kind``."""
    packed = struct.pack(order + ("HH" if kind == SHORT else "L"), *((value, 0) if kind == SHORT else (value,)))
    entry = struct.pack(order + "HHL", 0x0112, kind, 1) + packed
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "LH", 8, 1)
    return b"Exif\0\0" + head + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
@pytest.mark.parametrize("kind", [SHORT, LONG], ids=["short", "long"])
def test_orientation_is_found_in_both_byte_orders(order: str, kind: int) -> None:
    """An orientation is read in either byte order, as a short number and as a long one."""
    assert [orientation(block(order, kind, value)) for value in range(1, 9)] == list(range(1, 9))


@pytest.mark.parametrize("order", ["<", ">"], ids=["little-endian", "big-endian"])
def test_orientation_is_found_behind_long_addresses(order: str) -> None:
    """A block with addresses of 64 bits is read as well."""
    entry = struct.pack(order + "HHQHHHH", 0x0112, SHORT, 1, 6, 0, 0, 0)

    assert orientation(_BIG[order] + struct.pack(order + "Q", 1) + entry) == 6


@pytest.mark.parametrize("value", range(10))
def test_orientation_is_what_pillow_finds(value: int) -> None:
    """Pillow's blocks give what Pillow would find in them, the values that mean nothing too."""
    data = exif_orientation(value)
    exif = Image.Exif()
    exif.load(data)

    assert orientation(data) == exif[0x0112]


def test_xmp_tells_where_exif_does_not() -> None:
    """An XMP packet's orientation counts if the EXIF block has none; else the block's does."""
    assert orientation(b"", _XMP % 8) == 8
    assert orientation(exif_with(), _XMP % 8) == 8
    assert orientation(exif_orientation(3), _XMP % 8) == 3


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_xmp_turns_pictures(form: str) -> None:
    """A picture whose orientation only XMP tells is upright, but for AVIF, whose own boxes alone count."""
    data = encoded(a_picture(), form, xmp=_XMP % 6)

    assert decode(data).shape == ((23, 31, 3) if form == "AVIF" else (31, 23, 3))


@given(st.binary(max_size=200), st.binary(max_size=50), st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"]))
def test_nonsense_is_upright_or_a_number(data: bytes, xmp: bytes, head: bytes) -> None:
    """Whatever the bytes are, there is an answer, and counting a directory's numbers comes to an end."""
    assert orientation(head + data, xmp) >= 0
    assert numbers_in(head + data) >= 0


def test_numbers_of_a_directory_are_counted() -> None:
    """A TIFF's numbers are those of its directory and of the ones below it, without what lies beyond the file's end."""
    plain = numbers_in(tiff_of(8, 8))

    assert numbers_in(tiff_of(8, 8, (273, LONG, 1000, 200), rest=bytes(5000))) == plain + 999
    assert numbers_in(tiff_of(8, 8, (273, LONG, 2**32 - 1, 200))) == plain - 1
    assert numbers_in(encoded(a_picture(), "PNG")) == 0


def test_directories_in_themselves_come_to_an_end() -> None:
    """A directory that leads to itself is counted a few times, not for ever."""
    assert numbers_in(tiff_of(8, 8, (0x8769, LONG, 1, 8), (0x8825, LONG, 1, 8))) < 1000
