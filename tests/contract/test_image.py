"""Decoding: every format and colour, upright, within the limits, and nothing but two errors ever."""

import io
import os
import random
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from contract.image import DecodeLimits, ImageTooLarge, InvalidImage, decode
from tests.contract.image_files import (
    a_picture,
    broken,
    encoded,
    every_format,
    exif_orientation,
    png_chunk,
    png_header,
)

FILES = every_format()


def as_pillow(data: bytes) -> np.ndarray:
    """What Pillow makes of a file: upright, RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_every_format_becomes_rgb(data: bytes) -> None:
    """Every format that is read gives uint8 [H, W, 3], contiguous in memory."""
    pixels = decode(data)

    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
    assert pixels.flags.c_contiguous


OPAQUE = [name for name in FILES if not any(word in name for word in ("16 bits", "alpha"))]


@pytest.mark.parametrize("name", OPAQUE)
def test_opaque_files_equal_pillow(name: str) -> None:
    """A file without transparency decodes to the very pixels that Pillow gives: first frame, CMYK, palette and all."""
    np.testing.assert_array_equal(decode(FILES[name]), as_pillow(FILES[name]))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(form: str, orientation: int) -> None:
    """Each of EXIF's eight orientations is undone as Pillow's exif_transpose undoes it."""
    data = encoded(a_picture(), form, exif=exif_orientation(orientation))

    assert decode(data).shape == ((31, 23, 3) if orientation > 4 else (23, 31, 3))
    np.testing.assert_array_equal(decode(data), as_pillow(data))


def test_exif_is_found_behind_large_segments() -> None:
    """A JPEG's orientation counts also where other segments push it far from the file's beginning."""
    data = encoded(a_picture(), "JPEG", exif=exif_orientation(6))
    segment = b"\xff\xef" + struct.pack(">H", 60_002) + b"x" * 60_000

    assert decode(data[:2] + 2 * segment + data[2:]).shape == (31, 23, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif", [b"Exif\x00\x00nonsense", b"Exif\x00\x00MM\x00*\xff\xff\xff\xff", exif_orientation(99)]
)
def test_malformed_exif_is_ignored(form: str, exif: bytes) -> None:
    """An EXIF block that makes no sense does not keep an image from being read, unturned."""
    assert decode(encoded(a_picture(), form, exif=exif)).shape == (23, 31, 3)


def test_cmyk_jpegs_are_read_inverted() -> None:
    """A CMYK JPEG's values count as inverted, as Adobe writes them, with Adobe's marker and without."""
    plain = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")
    start = plain.index(b"\xff\xee")
    length = int.from_bytes(plain[start + 2 : start + 4], "big")
    unmarked = plain[:start] + plain[start + 2 + length :]

    assert decode(plain).min() >= 250
    np.testing.assert_array_equal(decode(unmarked), decode(plain))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_the_upper_byte(form: str) -> None:
    """16-bit greys keep their upper byte, from black to white."""
    levels = np.array([[0, 255, 256, 32_768, 65_535]], np.uint16)

    assert decode(encoded(Image.fromarray(levels), form))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_16_bit_colour_png_keeps_the_upper_byte() -> None:
    """A PNG of 16 bits a channel keeps each channel's upper byte."""
    row = b"\x00" + struct.pack(">6H", 0x1234, 0x8000, 0xFFFF, 0, 0x00FF, 0x0100)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    data = png_header(1, 1)[:8] + header + png_chunk(b"IDAT", zlib.compress(row)) + png_chunk(b"IEND", b"")

    assert decode(data).tolist() == [[[0x12, 0x80, 0xFF], [0, 0, 1]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_transparency_is_laid_over_white(mode: str, form: str) -> None:
    """Nothing shows white, all shows the colour, half shows the mean of both."""
    bands = [Image.new("L", (3, 1), 100)] * (len(mode) - 1)
    alpha = Image.fromarray(np.array([[0, 128, 255]], np.uint8))
    data = encoded(Image.merge(mode, [*bands, alpha]), form)

    np.testing.assert_allclose(decode(data)[0, :, 0].astype(int), [255, 177, 100], atol=1)


def test_transparent_palette_entries_show_white() -> None:
    """A palette's transparent entry shows white; without transparency it shows its colour."""
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)

    assert decode(encoded(image, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [40, 50, 60]]]
    assert decode(encoded(image, "PNG")).tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_counts(form: str) -> None:
    """Of an animation, or of many pages, the first frame is decoded."""
    black, white = Image.new("RGB", (8, 8)), Image.new("RGB", (8, 8), "white")

    assert decode(encoded(black, form, save_all=True, append_images=[white])).max() <= 2


@pytest.mark.parametrize("more", [b"trailing garbage", b"\xff\xd9", bytes(1000)])
def test_bytes_behind_a_jpeg_are_overlooked(more: bytes) -> None:
    """What follows the end of a JPEG changes nothing."""
    data = encoded(a_picture(), "JPEG")

    np.testing.assert_array_equal(decode(data + more), decode(data))


def test_extraneous_bytes_in_a_jpeg_are_forgiven() -> None:
    """A JPEG with stray bytes between its segments, of which decoders only warn, is read."""
    data = encoded(a_picture(), "JPEG")
    at = data.index(b"\xff\xdb")

    assert decode(data[:at] + b"\x00\x00\x00" + data[at:]).shape == (23, 31, 3)


@pytest.mark.parametrize("name", ["jpeg progressive", "png", "webp", "gif", "bmp", "tiff", "jpeg 2000", "avif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_truncated_files_are_invalid(name: str, share: float) -> None:
    """A file that ends too early is refused, never answered with half a picture."""
    data = FILES[name]

    with pytest.raises(InvalidImage):
        decode(data[: int(len(data) * share)])


def test_a_truncated_photograph_is_invalid() -> None:
    """A baseline JPEG that lost its last third is refused, though most decoders would fill in grey."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG")

    with pytest.raises(InvalidImage, match="broken or cut short"):
        decode(data[: len(data) * 2 // 3])


REFUSED = {
    "empty": b"",
    "text": b"this is no image",
    "html": b"<!doctype html><html></html>",
    "random": np.random.default_rng(0).bytes(5000),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "pdf": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "icon": encoded(a_picture(), "ICO"),
    "jpeg's first bytes": b"\xff\xd8\xff\xe0",
    "floating point": encoded(Image.new("F", (4, 4)), "TIFF"),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_image_is_refused(data: bytes) -> None:
    """What is no image of a known format is InvalidImage, with a message that names no path."""
    with pytest.raises(InvalidImage) as refusal:
        decode(data)

    assert "/" not in str(refusal.value)
    assert "0x" not in str(refusal.value)


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (40_000, 1), (8_000, 8_000)])
def test_sizes_beyond_the_limits_are_refused(width: int, height: int) -> None:
    """A size beyond the limits is refused by the header alone, for it is all that there is."""
    with pytest.raises(ImageTooLarge, match=f"{width} x {height}"):
        decode(png_header(width, height) + png_chunk(b"IDAT", b""))


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_limits_hold_for_every_format(data: bytes) -> None:
    """No format escapes the limits: all test files are too large for 3 pixels."""
    with pytest.raises(ImageTooLarge):
        decode(data, DecodeLimits(max_pixels=3))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_thin_images_are_read(width: int, height: int, form: str) -> None:
    """A single pixel and a line of twenty thousand are images."""
    assert decode(encoded(Image.new("RGB", (width, height)), form)).shape == (height, width, 3)


BOMBS = {
    "50,000 x 50,000": png_header(50_000, 50_000) + png_chunk(b"IDAT", zlib.compress(bytes(1000))),
    "text": png_header(8, 8) + 40 * png_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(20_000_000), 9)),
    "profile": png_header(8, 8) + png_chunk(b"iCCP", b"a\x00\x00" + zlib.compress(bytes(200_000_000), 9)),
}

_MEASURE = """
import resource, sys
from contract.image import ImageTooLarge, InvalidImage, decode
data = sys.stdin.buffer.read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode(data)
except (InvalidImage, ImageTooLarge):
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts KiB on Linux only")
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_without_memory(data: bytes) -> None:
    """A small file that would unfold to a giant one is refused while the process grows by less than 40 MB."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    run = subprocess.run([sys.executable, "-c", _MEASURE], input=data, capture_output=True, check=True, env=environment)

    assert int(run.stdout) < 40_000


def test_a_palette_image_without_its_palette_is_invalid() -> None:
    """A palette PNG that lacks its palette is refused; Pillow stumbles over an assertion there."""
    data = FILES["png palette"]
    start = data.index(b"PLTE") - 4
    length = int.from_bytes(data[start : start + 4], "big")

    with pytest.raises(InvalidImage):
        decode(data[:start] + data[start + 12 + length :])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore")  # libraries may remark on what is broken on purpose
def test_damage_leads_to_pixels_or_a_refusal(name: str) -> None:
    """However a file is damaged, it decodes within the limits or is refused by one of the two errors."""
    chance = random.Random(name)  # noqa: S311  # damage, not secrets
    limits = DecodeLimits(max_pixels=4_000_000)
    for _ in range(int(os.environ.get("VITRAIL_FUZZ_INPUTS", "150"))):
        try:
            pixels = decode(broken(FILES[name], chance), limits)
        except (InvalidImage, ImageTooLarge):
            continue
        assert (pixels.dtype, pixels.shape[2]) == (np.uint8, 3)
        assert pixels.shape[0] * pixels.shape[1] <= limits.max_pixels


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_a_trimap_comes_beside_its_colours(form: str) -> None:
    """Where a trimap is wanted, colours and alpha come as they are in the file, upright."""
    rgba = a_picture().convert("RGBA")
    rgba.putalpha(Image.fromarray(np.tile(np.uint8([0, 128, 255]).repeat(11)[:31], (23, 1))))
    data = encoded(
        rgba, form, exif=exif_orientation(6), **({"lossless": True, "exact": True} if form == "WEBP" else {})
    )

    pixels = decode(data, trimap=True)
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, np.asarray(rgba.rotate(-90, expand=True)))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_picture_without_a_trimap_is_refused(form: str) -> None:
    """A picture without an alpha channel is refused where a trimap is wanted, and the message tells what is."""
    with pytest.raises(InvalidImage, match=r"RGBA picture.*trimap: 0 background"):
        decode(encoded(a_picture(), form), trimap=True)


def test_a_trimaps_picture_has_the_same_limits() -> None:
    """The limits hold for a picture with a trimap, too, and what is no image is none."""
    with pytest.raises(ImageTooLarge):
        decode(encoded(a_picture().convert("RGBA"), "PNG"), DecodeLimits(max_pixels=100), trimap=True)
    with pytest.raises(InvalidImage):
        decode(b"\xff\xd8\xffnothing", trimap=True)
