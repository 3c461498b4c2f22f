"""Small image files of every format that is read, and ways to break them."""

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

_PNG_START = b"\x89PNG\r\n\x1a\n"


def a_picture(width: int = 31, height: int = 23) -> Image.Image:
    """A gradient without any symmetry: every turn and flip shows."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 8, y * 10, (x + y) * 4], axis=-1).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    """The image as a file of Pillow's format ``form``."""
    file = io.BytesIO()
    # Pillow leaves one encoder's settings on an image, where another stumbles over them.
    if "append_images" in options:
        options["append_images"] = [frame.copy() for frame in options["append_images"]]
    image.copy().save(file, form, **options)
    return file.getvalue()


def exif_orientation(value: int) -> bytes:
    """An EXIF block that holds an orientation only."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds next to nothing."""
    return _PNG_START + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with the right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def every_format() -> dict[str, bytes]:
    """A valid file of every format and of most of their kinds, by a name."""
    image, turned = a_picture(), a_picture().rotate(180)
    frames = {"save_all": True, "append_images": [turned]}
    exif = {"exif": exif_orientation(6)}
    wide = Image.fromarray((np.mgrid[:23, :31][1] * 2000).astype(np.uint16))
    text = PngImagePlugin.PngInfo()
    text.add_text("title", "x" * 500, zip=True)
    files = {
        "jpeg": encoded(image, "JPEG", **exif),
        "jpeg progressive": encoded(image, "JPEG", progressive=True),
        "jpeg grey": encoded(image.convert("L"), "JPEG"),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg mpo": encoded(image, "MPO", **frames),
        "png": encoded(image, "PNG", pnginfo=text, **exif),
        "png palette": encoded(image.quantize(16), "PNG"),
        "png alpha": encoded(image.convert("RGBA"), "PNG"),
        "png 16 bits": encoded(wide, "PNG"),
        "png 1 bit": encoded(image.convert("1"), "PNG"),
        "png animated": encoded(image, "PNG", **frames),
        "webp": encoded(image, "WEBP", **exif),
        "webp lossless": encoded(image.convert("RGBA"), "WEBP", lossless=True),
        "webp animated": encoded(image, "WEBP", **frames),
        "gif": encoded(image, "GIF"),
        "gif animated": encoded(image, "GIF", **frames),
        "bmp": encoded(image, "BMP"),
        "bmp palette": encoded(image.quantize(16), "BMP"),
        "tiff": encoded(image, "TIFF"),
        "tiff 16 bits": encoded(wide, "TIFF"),
        "tiff cmyk": encoded(image.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "tiff pages": encoded(image, "TIFF", **frames),
        "avif": encoded(image, "AVIF"),
        "jpeg 2000": encoded(image, "JPEG2000"),
        "ppm": encoded(image, "PPM"),
        "ppm as text": b"P3\n4 2\n255\n" + b" ".join(str(10 * value).encode() for value in range(24)),
    }
    return dict(sorted(files.items()))


def broken(data: bytes, chance: random.Random) -> bytes:
    """``data`` with one to eight bytes or runs changed, cut, put in or taken out, mostly near its beginning.

    A PNG mostly gets its checksums right again, so that the damage reaches what lies behind them.
    """
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5, 8))):
        if not damaged:
            break
        reach = min(len(damaged), 200) if chance.random() < 0.7 else len(damaged)
        _damage(damaged, chance.randrange(reach), chance)
    repair = data.startswith(_PNG_START) and chance.random() < 0.8
    return _with_checksums(bytes(damaged)) if repair else bytes(damaged)


def _damage(data: bytearray, at: int, chance: random.Random) -> None:
    match chance.randrange(10):
        case 0:
            del data[at:]
        case 1:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        case 2:
            del data[at : at + chance.randrange(1, 9)]
        case 3:
            data[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x00\x00\x40\x00"))
        case 4:
            start = chance.randrange(len(data))
            data[at : at + 32] = data[start : start + 32]
        case _:
            data[at] = chance.choice((0, 1, 127, 255, chance.randrange(256), data[at] ^ 1 << chance.randrange(8)))


def _with_checksums(png: bytes) -> bytes:
    repaired, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if at + 12 + length > len(png):
            break
        repaired += png_chunk(png[at + 4 : at + 8], png[at + 8 : at + 8 + length])
        at += 12 + length
    return bytes(repaired) + png[at:]
