"""The bytes of which hostile files are put together."""

import io
import struct
import zlib
from typing import Any

from PIL import Image

from tests.contract.image_files import a_picture, encoded, png_chunk

PNG_START = b"\x89PNG\r\n\x1a\n"
SHORT, LONG, RATIONAL, UNDEFINED = 3, 4, 5, 7


def flat(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture of one colour: the smallest file for its pixels."""
    return Image.new(mode, (width, height))


def png(header: tuple[int, int, int, int, int], *chunks: bytes) -> bytes:
    """A PNG of these chunks; the header is width, height, bits, colour type, interlacing."""
    width, height, bits, colour, interlaced = header
    ihdr = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, bits, colour, 0, 0, interlaced)
    return PNG_START + png_chunk(b"IHDR", ihdr) + b"".join(chunks) + png_chunk(b"IEND", b"")


def zeros(count: int) -> bytes:
    """So many zero bytes, as zlib packs them best."""
    packer, block = zlib.compressobj(9), bytes(1 << 20)
    packed = [packer.compress(block) for _ in range(count // len(block))]
    return b"".join([*packed, packer.compress(bytes(count % len(block))), packer.flush()])


def png_with(*chunks: bytes) -> bytes:
    """A good PNG with more chunks before its pixels."""
    data = encoded(a_picture(), "PNG")
    at = data.index(b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


def jpeg(**options: Any) -> bytes:
    """A good small JPEG."""
    return encoded(a_picture(), "JPEG", **options)


def segment(marker: int, data: bytes = b"") -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg_with(*segments: bytes) -> bytes:
    """A good JPEG with more segments at its beginning."""
    data = jpeg()
    return data[:2] + b"".join(segments) + data[2:]


def jpeg_changed(marker: int, at: int, new: bytes) -> bytes:
    """A JPEG with other bytes at a place within its first segment of that kind, counted from the marker."""
    data = bytearray(jpeg())
    start = data.index(bytes([0xFF, marker])) + at
    data[start : start + len(new)] = new
    return bytes(data)


def gif_with(*blocks: bytes) -> bytes:
    """A good GIF with more blocks before its picture."""
    data = encoded(a_picture(), "GIF")
    at = 13 + (3 << ((data[10] & 7) + 1)) if data[10] & 128 else 13
    return data[:at] + b"".join(blocks) + data[at:]


def directory(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A TIFF directory in little-endian order: tag, type, count, value or address."""
    packed = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + struct.pack("<L", following)


def tiff(*entries: tuple[int, int, int, int], rest: bytes = b"", following: int = 0) -> bytes:
    """A TIFF: its directory at byte 8, and what follows that."""
    return b"II*\0\x08\0\0\0" + directory(*entries, following=following) + rest


def tiff_of(width: int, height: int, *more: tuple[int, int, int, int], rest: bytes = bytes(64)) -> bytes:
    """A grey TIFF of 8 bits whose pixels, not packed, begin at byte 8; ``more`` replaces or adds tags."""
    tags = {
        256: (256, LONG, 1, width),
        257: (257, LONG, 1, height),
        258: (258, SHORT, 1, 8),
        259: (259, SHORT, 1, 1),
        262: (262, SHORT, 1, 1),
        273: (273, LONG, 1, 8),
        277: (277, SHORT, 1, 1),
        278: (278, LONG, 1, height),
        279: (279, LONG, 1, width * height),
    }
    tags |= {entry[0]: entry for entry in more}
    return tiff(*(tags[tag] for tag in sorted(tags)), rest=rest)


def exif_of_numbers(count: int) -> bytes:
    """An EXIF block whose orientation and resolution are so many fractions each, at the same place."""
    entries = [struct.pack(">HHLL", tag, RATIONAL, count, 38) for tag in (0x0112, 0x011A)]
    head = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + b"".join(entries) + bytes(4)
    return head + bytes(range(1, 9)) * count


def exif_with(*entries: bytes) -> bytes:
    """An EXIF block of such entries, 12 bytes each, big-endian."""
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", len(entries)) + b"".join(entries) + bytes(4)


def box(kind: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A box as AVIF and JPEG 2000 have them, with its own length or a false one."""
    return struct.pack(">I", len(data) + 8 if length is None else length) + kind + data


def riff(*chunks: tuple[bytes, bytes], length: int | None = None) -> bytes:
    """A WebP of such chunks."""
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def animation(form: str, frames: int, **options: Any) -> bytes:
    """A film of so many small frames."""
    turned = [a_picture().rotate(number % 360) for number in range(frames)]
    file = io.BytesIO()
    turned[0].save(file, form, save_all=True, append_images=turned[1:], **options)
    return file.getvalue()
