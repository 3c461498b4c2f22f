"""What stands before a JPEG's picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.image import decode
from contract.jpeg_header import JPEG, read_header, without_metadata
from tests.contract.image_files import a_picture, encoded, exif_orientation
from tests.hostile.files import jpeg, jpeg_with, segment

_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def test_a_usual_jpeg_has_one_scan() -> None:
    """A JPEG as cameras write it is upright, of its size, and comes in one scan."""
    header = read_header(jpeg())

    assert header is not None
    assert (header.orientation, header.scans, header.width, header.height) == (1, 1, 31, 23)


def test_scans_of_a_progressive_jpeg_are_counted() -> None:
    """All scans of a progressive JPEG are counted."""
    header = read_header(jpeg(progressive=True))

    assert header is not None
    assert header.scans == jpeg(progressive=True).count(b"\xff\xda") > 5


@pytest.mark.parametrize("between", [b"\xff" * 50, b"\xff\0" * 50, b"abc", segment(0xEF, b"x" * 60_000)], ids=range(4))
def test_what_stands_between_segments_is_passed_over(between: bytes) -> None:
    """Fill bytes, stray bytes and unknown segments hide no orientation."""
    data = jpeg(exif=exif_orientation(6))
    header = read_header(data[:2] + between + data[2:])

    assert header is not None
    assert header.orientation == 6


def test_exif_may_come_in_pieces() -> None:
    """An EXIF block that is spread over segments is put together; XMP counts without one."""
    block = exif_orientation(8)
    pieces = [segment(0xE1, b"Exif\0\0" + part) for part in (block[6:20], block[20:])]
    in_pieces, in_xmp = (
        read_header(jpeg_with(*pieces)),
        read_header(jpeg_with(segment(0xE1, _XMP + b'tiff:Orientation="3"'))),
    )

    assert in_pieces is not None
    assert in_pieces.orientation == 8
    assert in_xmp is not None
    assert in_xmp.orientation == 3


def test_a_header_without_end_is_none() -> None:
    """There is no header where no scan begins within the first few thousand segments."""
    assert read_header(jpeg()[:300]) is None
    assert read_header(jpeg_with(segment(0xFE) * 5000)) is None


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_metadata_are_not_needed(mode: str) -> None:
    """Without its metadata a JPEG is smaller, and the same picture."""
    plain = encoded(a_picture().convert(mode), "JPEG")
    data = plain[:2] + segment(0xFE, b"comment") + segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(500)) + plain[2:]

    assert without_metadata(data) == plain
    np.testing.assert_array_equal(decode(without_metadata(data)), decode(data))


@given(st.binary(max_size=300), st.booleans())
def test_nonsense_has_a_header_or_none(data: bytes, behind: bool) -> None:
    """Whatever the bytes are, reading them comes to an end, and nothing is made of them that was not there."""
    whole = (jpeg() if behind else b"") + data
    header = read_header(JPEG + whole)

    assert header is None or header.scans >= 1
    assert len(without_metadata(JPEG + whole)) <= len(JPEG + whole)
