"""Small files that ask for much: of memory, of time, of the decoder's patience."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import isqrt

from tests.contract.image_files import a_picture, encoded, png_chunk
from tests.hostile.files import (
    LONG,
    RATIONAL,
    SHORT,
    UNDEFINED,
    animation,
    box,
    exif_of_numbers,
    exif_with,
    flat,
    gif_with,
    jpeg_with,
    png,
    png_with,
    riff,
    segment,
    tiff,
    tiff_of,
    zeros,
)

Make = Callable[[], bytes]


@dataclass(frozen=True)
class Scale:
    """How far the bombs go."""

    pixels: int
    """The service's limit: the pictures within it come close, the others are far beyond."""
    size: int
    """Bytes of the files whose mere length is the attack."""

    @property
    def side(self) -> int:
        """Of the largest square picture that is read."""
        return isqrt(self.pixels)


def bombs(scale: Scale) -> Iterator[tuple[str, Make]]:
    """Files by name, each made when it is called for."""
    yield from _within_the_limit(scale)
    yield from _beyond_the_limit(scale)
    yield from _of_metadata(scale)
    yield from _of_pieces(scale)
    yield from _of_scans(scale)
    yield from _films()


def _within_the_limit(scale: Scale) -> Iterator[tuple[str, Make]]:
    """Flat pictures as large as is allowed: little to send, much to decode."""
    side = scale.side

    def whole(form: str, mode: str = "RGB", **options: object) -> Make:
        return lambda: encoded(flat(side, side, mode), form, **options)

    yield "flat jpeg", whole("JPEG")
    yield "flat jpeg progressive", whole("JPEG", progressive=True)
    yield "flat jpeg cmyk", whole("JPEG", "CMYK")
    yield "flat png", whole("PNG", compress_level=9)
    yield "flat png 1 bit", whole("PNG", "1")
    yield "flat png palette with transparency", whole("PNG", "P", transparency=0)
    yield "flat png rgba 16 bits", lambda: png((side, side, 16, 6, 0), png_chunk(b"IDAT", zeros(side * (1 + 8 * side))))
    yield "flat png interlaced", partial(_interlaced, side)
    yield "flat gif", whole("GIF", "P")
    yield "flat gif interlaced", whole("GIF", "P", interlace=1)
    yield "flat webp", whole("WEBP", method=0)
    yield "flat webp lossless", whole("WEBP", "RGBA", lossless=True, method=0)
    yield "flat avif", whole("AVIF", speed=10)
    yield "flat jpeg 2000", whole("JPEG2000")
    yield "flat bmp rle", partial(_bmp_rle, side, side, b"\xff\x00" * (side // 255 * side))
    for packing in ("tiff_adobe_deflate", "tiff_lzw", "packbits", "lzma", "zstd", "jpeg"):
        yield f"flat tiff {packing}", whole("TIFF", compression=packing)
    yield "flat tiff fax", whole("TIFF", "1", compression="group4")
    yield "one line", lambda: encoded(flat(31_999, 1), "PNG")
    yield "one column", lambda: encoded(flat(1, 31_999), "PNG")
    yield "one line jpeg", lambda: encoded(flat(31_999, 1), "JPEG")
    yield "one column webp", lambda: encoded(flat(1, 16_383), "WEBP")


def _beyond_the_limit(scale: Scale) -> Iterator[tuple[str, Make]]:
    """Headers that tell of pictures which nobody could hold."""
    idat = png_chunk(b"IDAT", zeros(1000))
    yield "giant png", lambda: png((50_000, 50_000, 8, 2, 0), idat)
    yield "giant png, one line", lambda: png((2**31 - 1, 1, 8, 0, 0), idat)
    frame = b"," + bytes(4) + b"\xff" * 4 + b"\0\x02\x01\0\0;"
    yield "giant gif", lambda: b"GIF89a" + b"\xff" * 4 + bytes(3) + frame
    control = b"!\xf9\x04\x08" + bytes(4)
    yield "giant gif to be cleared", lambda: b"GIF89a\x08\0\x08" + bytes(4) + control + frame
    yield "giant bmp rle", partial(_bmp_rle, 30_000, 30_000, b"\xff\x00" * 1000)
    yield (
        "giant bmp",
        lambda: b"BM" + bytes(12) + struct.pack("<IiiHHI", 40, 2**31 - 1, 2**31 - 1, 1, 24, 0) + bytes(20),
    )
    yield "giant jpeg", lambda: _jpeg_of_size(65_500, 65_500)
    yield "giant jpeg, one line", lambda: _jpeg_of_size(65_500, 1)
    yield "giant webp", lambda: riff((b"VP8L", b"\x2f" + struct.pack("<I", 16_382 | 16_382 << 14) + bytes(40)))
    yield "giant webp canvas", lambda: riff((b"VP8X", b"\x02\0\0\0" + b"\xff\xff\0\xff\xff\0"), (b"ANIM", bytes(6)))
    yield "giant tiff", lambda: tiff_of(60_000, 60_000)
    yield "giant tiff tile", lambda: _tile(30_000, zeros(8 * scale.size))
    yield "giant jpeg 2000", lambda: _jpeg_2000_of_size(2**31 - 1, 2**31 - 1, 1024)
    yield "giant jpeg 2000, million tiles", lambda: _jpeg_2000_of_size(1000, 1000, 1)
    yield "giant ppm", lambda: b"P6 1000000 1000000 255\n" + bytes(1000)
    yield "giant ppm number", lambda: b"P6 " + b"9" * 5000 + b" 1 255\n"
    yield (
        "giant avif",
        lambda: encoded(a_picture(), "AVIF").replace(struct.pack(">II", 31, 23), b"\x7f\xff\xff\xff" * 2),
    )


def _of_metadata(scale: Scale) -> Iterator[tuple[str, Make]]:
    """Much that is packed small, or made large by who reads it."""
    numbers = scale.size // 8

    def with_exif(form: str, count: int = numbers) -> Make:
        return lambda: encoded(a_picture(), form, exif=exif_of_numbers(count))

    yield "png text", lambda: png_with(*[png_chunk(b"zTXt", b"a\0\0" + zeros(scale.size))] * 60)
    yield "png international text", lambda: png_with(*[png_chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(scale.size))] * 60)
    yield "png profile", lambda: png_with(png_chunk(b"iCCP", b"a\0\0" + zeros(8 * scale.size)))
    yield "png exif of fractions", with_exif("PNG")
    yield "webp exif of fractions", with_exif("WEBP")
    yield "avif exif of fractions", partial(_avif_of_numbers, numbers)
    yield "jpeg exif of fractions", with_exif("JPEG", 8_000)
    yield "jpeg exif in many segments", partial(_exif_in_segments, scale.size)
    yield "tiff resolution of fractions", lambda: tiff_of(8, 8, (282, RATIONAL, numbers, 200), rest=b"\1" * scale.size)
    yield (
        "tiff strips without end",
        lambda: tiff_of(8, 8, (273, LONG, scale.size // 4, 200), (278, LONG, 1, 1), rest=bytes(scale.size)),
    )
    yield (
        "tiff tags that share their data",
        lambda: tiff(*((tag, LONG, scale.size // 5, 8) for tag in range(1000, 5000)), rest=bytes(scale.size)),
    )
    yield (
        "jpeg profile in many segments",
        lambda: jpeg_with(
            *[segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 255]) + bytes(60_000)) for number in range(1, 256)]
        ),
    )


def _of_pieces(scale: Scale) -> Iterator[tuple[str, Make]]:
    """Files of very many very small pieces."""
    size = scale.size
    yield "png of chunks", lambda: png_with(png_chunk(b"prVt", b"") * (size // 12))
    yield "png of empty data", lambda: png_with(png_chunk(b"IDAT", b"") * (size // 12))
    yield "png of chunks behind", lambda: encoded(a_picture(), "PNG")[:-12] + png_chunk(b"prVt", b"") * (size // 12)
    yield "jpeg of comments", lambda: jpeg_with(segment(0xFE) * (size // 4))
    yield "jpeg of exif segments", lambda: jpeg_with(segment(0xE1) * (size // 4))
    yield "jpeg of fill bytes", lambda: jpeg_with(b"\xff" * size)
    yield "jpeg of stray bytes", lambda: jpeg_with(b"\xff\0" * (size // 2))
    yield "gif of extensions", lambda: gif_with(b"!\xfe\0" * (size // 3))
    yield "gif of comments", lambda: gif_with(b"!\xfe" + (b"\xff" + b"x" * 255) * (size // 256) + b"\0")
    yield "gif of palettes", lambda: gif_with((b"," + bytes(8) + b"\x87" + bytes(768) + b"\2\0") * (size // 780))
    yield "tiff of tags", lambda: tiff(*((tag, SHORT, 1, 1) for tag in range(min(size // 12, 65_535))))
    yield "tiff of tiles", partial(_tiles, min(size // 4, 1_000_000))
    yield "ppm of comments", lambda: b"P3\n8 8\n255\n" + b"#\n" * (size // 2) + b"1 " * 192
    yield "ppm header of comments", lambda: b"P6\n" + b"#\n" * (size // 2) + b"8 8\n255\n" + bytes(192)
    yield "ppm as text", lambda: b"P3 %d 1000 255\n" % (size // 6000) + b"1 " * (size // 2)
    yield "ppm with an odd maximum", lambda: b"P6 %d 1000 100\n" % (size // 3000) + b"1" * size
    yield "bmp rle of empty lines", partial(_bmp_rle, 1000, 1000, bytes(size))
    yield "bmp rle of single pixels", partial(_bmp_rle, 2000, size // 4000, b"\1\0" * (size // 2))
    yield "webp of chunks", lambda: riff((b"VP8X", bytes(4) + b"\x07\0\0\x07\0\0"), *[(b"ABCD", b"")] * (size // 8))
    yield "avif of boxes", lambda: box(b"ftyp", b"avif" + bytes(4) + b"mif1avif") + box(b"free") * (size // 8)
    yield "avif of nested boxes", partial(_nested, min(size // 8, 20_000))
    yield "jpeg 2000 of boxes", lambda: encoded(a_picture(), "JPEG2000")[:32] + box(b"free") * (size // 8)


def _of_scans(scale: Scale) -> Iterator[tuple[str, Make]]:
    """JPEGs that are gone over again and again."""
    yield "jpeg of scans", partial(_scans, scale.side, min(scale.size // 40, 20_000))
    yield "jpeg of scans, just allowed", partial(_scans, scale.side, 90)
    yield "jpeg cmyk of scans", partial(_scans, scale.side // 2, min(scale.size // 40, 20_000), "CMYK")


def _films() -> Iterator[tuple[str, Make]]:
    yield "gif of 300 frames", lambda: animation("GIF", 300)
    yield "png of 300 frames", lambda: animation("PNG", 300)
    yield "webp of 300 frames", lambda: animation("WEBP", 300, method=0)
    yield "avif of 60 frames", lambda: animation("AVIF", 60, speed=10)
    yield "tiff of 300 pages", lambda: animation("TIFF", 300)
    yield "mpo of 100 pictures", lambda: animation("MPO", 100)


def _interlaced(side: int) -> bytes:
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    sizes = [(-(-(side - x) // right), -(-(side - y) // down)) for x, y, right, down in passes]
    return png(
        (side, side, 8, 2, 1), png_chunk(b"IDAT", zeros(sum(rows * (1 + 3 * columns) for columns, rows in sizes)))
    )


def _bmp_rle(width: int, height: int, runs: bytes) -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    palette = bytes(range(1, 256)) * 4 + bytes(4)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(runs), 0, 0, 54 + 1024) + header + palette + runs


def _jpeg_of_size(width: int, height: int) -> bytes:
    data = bytearray(encoded(a_picture(), "JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def _jpeg_2000_of_size(width: int, height: int, tile: int) -> bytes:
    siz = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, tile, tile, 0, 0, 3) + b"\x07\1\1" * 3
    data = encoded(a_picture(), "JPEG2000", no_jp2=True)
    end = 4 + int.from_bytes(data[4:6], "big")
    return data[:2] + b"\xff\x51" + struct.pack(">H", len(siz) + 2) + siz + data[end:]


def _tile(side: int, packed: bytes) -> bytes:
    entries = ((259, SHORT, 1, 8), (322, LONG, 1, side), (323, LONG, 1, side), (324, LONG, 1, 300))
    data = tiff_of(8, 8, *entries, (325, LONG, 1, len(packed)))
    return data.ljust(300, b"\0") + packed


def _tiles(count: int) -> bytes:
    side = max(1, isqrt(count))
    entries = ((322, LONG, 1, 1), (323, LONG, 1, 1), (324, LONG, side * side, 200), (325, LONG, side * side, 200))
    return tiff_of(side, side, *entries, rest=bytes(100) + struct.pack("<L", 8) * side * side)


def _avif_of_numbers(count: int) -> bytes:
    """Pillow would not write such a block, so it is given one of plain bytes, which are called numbers afterwards."""
    plain = struct.pack(">HHLL", 0x010E, UNDEFINED, 8 * count, 26)
    block = exif_with(plain) + bytes(range(1, 9)) * count
    data = encoded(a_picture(), "AVIF", exif=block)
    return data.replace(plain, struct.pack(">HHLL", 0x0112, RATIONAL, count, 26))


def _exif_in_segments(size: int) -> bytes:
    block = exif_of_numbers(size // 8)
    parts = [block[start : start + 65_000] for start in range(6, len(block), 65_000)]
    return jpeg_with(*[segment(0xE1, b"Exif\0\0" + part) for part in parts])


def _scans(side: int, count: int, mode: str = "RGB") -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(flat(side, side, mode), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + b"\xff\xd9"


def _nested(depth: int) -> bytes:
    inner = b""
    for _ in range(min(depth, 2_000)):
        inner = box(b"meta", bytes(4) + inner)
    return box(b"ftyp", b"avif" + bytes(4) + b"mif1avif") + inner
