"""Files that would cost far more than a picture of their size are refused, or cost no more than one."""

import struct
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from contract.image import DecodeLimits, ImageTooLarge, InvalidImage, decode
from contract.jpeg2000 import is_plain
from tests.contract.image_files import a_picture, encoded, exif_orientation
from tests.hostile.bombs import Scale, bombs
from tests.hostile.files import segment, tiff_of

SIZE = 2_400_000
FILES = dict(bombs(Scale(pixels=1_000_000, size=SIZE)))


def peak_of(data: bytes) -> int:
    """The most memory, bytes, that Python and NumPy hold beside the file while it is decoded."""
    tracemalloc.start()
    try:
        decode(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["png exif of fractions", "webp exif of fractions", "avif exif of fractions", "jpeg exif in many segments"]
)
def test_metadata_cost_no_more_than_their_bytes(name: str) -> None:
    """An EXIF block of 300,000 fractions is looked through, not turned into objects."""
    assert peak_of(FILES[name]()) < 4 * SIZE


MANY_PIECES = (
    "png of chunks",
    "png of chunks behind",
    "png of empty data",
    "gif of extensions",
    "ppm header of comments",
    "jpeg 2000 of boxes",
)


@pytest.mark.parametrize("name", MANY_PIECES)
def test_files_of_too_many_pieces_are_refused(name: str) -> None:
    """A file of a hundred thousand pieces is given up soon."""
    with pytest.raises(InvalidImage, match="more pieces than any picture needs"):
        decode(FILES[name]())


@pytest.mark.parametrize("name", ["jpeg of comments", "jpeg of exif segments"])
def test_jpegs_of_too_many_segments_are_refused(name: str) -> None:
    """A JPEG whose picture comes only behind hundreds of thousands of segments is given up soon."""
    with pytest.raises(InvalidImage, match="no picture begins"):
        decode(FILES[name]())


@pytest.mark.parametrize(
    "name", ["tiff resolution of fractions", "tiff strips without end", "tiff of tiles", "tiff of tags"]
)
def test_tiffs_of_too_many_numbers_are_refused(name: str) -> None:
    """A TIFF whose directory holds hundreds of thousands of numbers is refused before one of them is read."""
    with pytest.raises(InvalidImage, match="more than 250,000 numbers"):
        decode(FILES[name]())


def test_tiles_are_held_to_the_limits() -> None:
    """A TIFF of eight by eight pixels in one tile of nearly a billion is refused."""
    with pytest.raises(ImageTooLarge, match="30000 x 30000"):
        decode(FILES["giant tiff tile"]())


def test_sound_tiles_are_read() -> None:
    """A picture in tiles, of which the last ones reach beyond it, is read."""
    entries = ((322, 4, 1, 16), (323, 4, 1, 16), (324, 4, 6, 300), (325, 4, 6, 340))
    tables = struct.pack("<6L", *(400 + 256 * tile for tile in range(6))).ljust(40) + struct.pack("<6L", *[256] * 6)
    data = tiff_of(40, 24, *entries).ljust(300, b"\0")[:300] + tables
    data = data.replace(struct.pack("<HHLL", 273, 4, 1, 8), struct.pack("<HHLL", 65_000, 4, 1, 8))

    assert decode(data.ljust(400, b"\0") + b"\x80" * 1536).shape == (24, 40, 3)


def test_a_strip_for_every_row_is_read() -> None:
    """A TIFF of thirty thousand strips, a row in each, is in pieces that some programs write."""
    rows = 30_000
    entries = ((273, 4, rows, 200), (278, 4, 1, 1), (279, 4, rows, 200 + 4 * rows))
    tables = struct.pack("<L", 8) * rows + struct.pack("<L", 2) * rows
    data = tiff_of(2, rows, *entries, rest=b"")

    assert decode(data.ljust(200, b"\0") + tables).shape == (rows, 2, 3)


@pytest.mark.parametrize("name", ["jpeg of scans", "jpeg cmyk of scans"])
def test_jpegs_of_too_many_scans_are_refused(name: str) -> None:
    """A JPEG that would be gone over thousands of times is refused."""
    with pytest.raises(ImageTooLarge, match="scans; at most 100 are read"):
        decode(FILES[name]())


def test_large_jpegs_have_fewer_scans() -> None:
    """What counts is the number of pixels gone over: of 16 million pixels 62 scans are read, not 63."""
    data = encoded(Image.new("RGB", (4000, 4000)), "JPEG", progressive=True)
    last, scans = data.rindex(b"\xff\xda"), data.count(b"\xff\xda")

    with pytest.raises(ImageTooLarge, match="63 scans; at most 62"):
        decode(data[:last] + data[last:-2] * (64 - scans) + b"\xff\xd9")


def test_a_few_more_scans_change_nothing() -> None:
    """A progressive JPEG of some more scans than usual is the same picture."""
    data = encoded(a_picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")

    assert decode(data[:last] + data[last:-2] * 2 + b"\xff\xd9").shape == (23, 31, 3)


@pytest.mark.parametrize("name", ["ppm as text", "ppm with an odd maximum", "bmp rle of single pixels"])
def test_slow_kinds_have_a_lower_limit(name: str) -> None:
    """Of formats that Pillow decodes in Python less is read, and the error says what to do."""
    files = dict(bombs(Scale(pixels=1, size=9_000_000)))

    with pytest.raises(ImageTooLarge, match="send it in another format"):
        decode(files[name]())


def test_text_of_too_many_comments_is_refused() -> None:
    """A PPM that is text and mostly comments is refused."""
    with pytest.raises(InvalidImage, match="more than 1,000 comments"):
        decode(FILES["ppm of comments"]())


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_jpeg_2000_is_what_pillow_decodes(mode: str) -> None:
    """JPEG 2000 of the plain kind, for which there is a way that holds nobody up, is the very picture Pillow gives."""
    image = a_picture(200, 150).convert(mode)
    data = encoded(image, "JPEG2000", tile_size=(64, 64))

    assert is_plain(data, 200, 150)
    assert not is_plain(data, 150, 200)
    np.testing.assert_array_equal(decode(data), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("mode", ["LA", "RGBA", "YCbCr", "I;16"])
def test_other_jpeg_2000_is_left_to_pillow(mode: str) -> None:
    """Other kinds are not plain; they are read up to a lower limit."""
    wide = Image.new("I;16", (2100, 2000)) if mode == "I;16" else Image.new("RGB", (2100, 2000)).convert(mode)
    small = wide.crop((0, 0, 50, 40))

    assert not is_plain(encoded(small, "JPEG2000"), 50, 40)
    assert decode(encoded(small, "JPEG2000")).shape == (40, 50, 3)
    with pytest.raises(ImageTooLarge, match="at most 4,000,000"):
        decode(encoded(wide, "JPEG2000"))


def test_a_jpeg_2000_that_lies_about_its_size_is_not_plain() -> None:
    """Where the box around it tells another size than the codestream, or there are two, Pillow has to say what is."""
    data = encoded(a_picture(), "JPEG2000")
    lying = data.replace(struct.pack(">II", 23, 31), struct.pack(">II", 8, 8))

    assert not is_plain(lying, 8, 8)
    assert not is_plain(data + data, 31, 23)
    with pytest.raises(InvalidImage):
        decode(lying, DecodeLimits(max_pixels=100))


def test_a_jpeg_2000_of_too_many_tiles_is_refused() -> None:
    """A JPEG 2000 of a million tiles, which would take half a gigabyte, is refused."""
    with pytest.raises(InvalidImage, match="more than 3,072 tiles"):
        decode(FILES["giant jpeg 2000, million tiles"]())


def test_jpegs_on_the_slow_way_are_turned_too() -> None:
    """A CMYK JPEG, which Pillow decodes without its metadata, is upright all the same."""
    data = encoded(a_picture().convert("CMYK"), "JPEG", exif=exif_orientation(6))

    assert decode(data).shape == (31, 23, 3)
    np.testing.assert_array_equal(decode(data), np.rot90(decode(encoded(a_picture().convert("CMYK"), "JPEG")), -1))


def test_a_jpeg_that_lies_about_its_length_ends() -> None:
    """Segments that reach beyond the file's end lead to a refusal."""
    with pytest.raises(InvalidImage):
        decode(b"\xff\xd8" + segment(0xE1, b"Exif\0\0")[:2] + b"\xff\xff" + bytes(100))
