"""Files whose parts contradict each other, end early, or make no sense."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.contract.image_files import a_picture, encoded, every_format, exif_orientation, png_chunk
from tests.hostile.bombs import Make
from tests.hostile.files import (
    LONG,
    RATIONAL,
    SHORT,
    box,
    exif_with,
    gif_with,
    jpeg,
    jpeg_changed,
    jpeg_with,
    png,
    png_with,
    riff,
    segment,
    tiff_of,
)


def malformed() -> Iterator[tuple[str, Make]]:
    """Files by name, each made when it is called for."""
    yield from _cut_short()
    for name, data in {**_pngs(), **_jpegs(), **_gifs(), **_tiffs(), **_others(), **_exif(), **_odd()}.items():
        yield name, lambda data=data: data  # type: ignore[misc]


def _cut_short() -> Iterator[tuple[str, Make]]:
    """Every format, cut where one of its parts begins, and just behind."""
    for name, data in every_format().items():
        for at in sorted(seams(data)):
            yield f"{name} cut at {at}", lambda data=data, at=at: data[:at]  # type: ignore[misc]


def seams(data: bytes) -> set[int]:
    """Where the parts of a file begin, as far as they are easily told, and some places more."""
    found = {1, 2, 4, 8, 12, 16, 24, 33, 40, 54, *(len(data) * part // 8 for part in range(1, 8)), len(data) - 1}
    marks = (b"IDAT", b"IEND", b"PLTE", b"eXIf", b"zTXt", b"fcTL", b"fdAT", b"VP8", b"EXIF", b"ANMF", b"meta", b"mdat")
    marks += (b"iloc", b"jp2h", b"jp2c", b"\xff\x90", b"\xff\x93", b"!\xf9", b"!\xff")
    marks += tuple(bytes([0xFF, marker]) for marker in (0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xE0, 0xE1, 0xE2, 0xEE))
    for mark in marks:
        at = data.find(mark)
        if at >= 0:
            found |= {at, at + 2, at + len(mark) + 4}
    if data[:2] == b"II":
        start = int.from_bytes(data[4:8], "little")
        found |= {start, start + 2, *range(start + 2, min(start + 200, len(data)), 12)}
    return {at for at in found if 0 < at < len(data)}


def _pngs() -> dict[str, bytes]:
    idat = png_chunk(b"IDAT", zlib.compress(bytes(8 * 25)))
    sound = (8, 8, 8, 2, 0)
    sizes = {
        "no pixels": (0, 0, 8, 2, 0),
        "no width": (0, 8, 8, 2, 0),
        "no height": (8, 0, 8, 2, 0),
        "negative width": (-1, 8, 8, 2, 0),
        "3 bits": (8, 8, 3, 0, 0),
        "palette of 16 bits": (8, 8, 16, 3, 0),
        "colour type 5": (8, 8, 8, 5, 0),
        "interlacing 9": (8, 8, 8, 2, 9),
        "more rows than data": (8, 800, 8, 2, 0),
        "fewer rows than data": (8, 2, 8, 2, 0),
    }
    files = {f"png, {name}": png(header, idat) for name, header in sizes.items()}
    good = encoded(a_picture(), "PNG")
    at = good.index(b"IDAT")
    return files | {
        "png, length of 4 GB": good[: at - 4] + b"\xff" * 4 + good[at:],
        "png, length of nothing": good[: at - 4] + bytes(4) + good[at:],
        "png, wrong checksum": good[: at + 20] + b"\0" + good[at + 21 :],
        "png, filter 99": png(sound, png_chunk(b"IDAT", zlib.compress((b"\x63" + bytes(24)) * 8))),
        "png, data is no zlib": png(sound, png_chunk(b"IDAT", b"no such thing" * 9)),
        "png, no data": png(sound),
        "png, two headers": png(sound, png(sound)[8:33], idat),
        "png, chunk without a name": png_with(png_chunk(bytes(4), b"x")),
        "png, profile is no zlib": png_with(png_chunk(b"iCCP", b"name\0\0" + b"garbage" * 50)),
        "png, profile is nonsense": png_with(png_chunk(b"iCCP", b"name\0\0" + zlib.compress(b"not a profile"))),
        "png, short chunks": png_with(
            *(png_chunk(name, b"") for name in (b"gAMA", b"cHRM", b"pHYs", b"tRNS", b"eXIf"))
        ),
        "png, film without frames": png_with(png_chunk(b"acTL", bytes(8))),
        "png, film of 4 billion frames": png_with(png_chunk(b"acTL", b"\xff" * 8)),
        "png, text in no alphabet": png_with(png_chunk(b"iTXt", b"\xff\0\0\0\xfe\0\xfd\0\xed\xa0\x80")),
    }


def _jpegs() -> dict[str, bytes]:
    good = jpeg()
    scan = good.index(b"\xff\xda")
    return {
        "jpeg, no height": jpeg_changed(0xC0, 5, bytes(2)),
        "jpeg, no width": jpeg_changed(0xC0, 7, bytes(2)),
        "jpeg, no components": jpeg_changed(0xC0, 9, b"\0"),
        "jpeg, 255 components": jpeg_changed(0xC0, 9, b"\xff"),
        "jpeg, 12 bits": jpeg_changed(0xC0, 4, b"\x0c"),
        "jpeg, sampling of 15": jpeg_changed(0xC0, 11, b"\xff"),
        "jpeg, sampling of 0": jpeg_changed(0xC0, 11, b"\0"),
        "jpeg, lossless": jpeg_changed(0xC0, 1, b"\xc3"),
        "jpeg, hierarchical": jpeg_changed(0xC0, 1, b"\xc5"),
        "jpeg, arithmetic": jpeg_changed(0xC0, 1, b"\xc9"),
        "jpeg, progressive that is not": jpeg_changed(0xC0, 1, b"\xc2"),
        "jpeg, code table of 255 lengths": jpeg_changed(0xC4, 5, b"\xff" * 16),
        "jpeg, segment without length": jpeg_changed(0xDB, 2, bytes(2)),
        "jpeg, segment beyond the end": jpeg_changed(0xDB, 2, b"\xff\xff"),
        "jpeg, scan of no component": jpeg_changed(0xDA, 4, b"\0"),
        "jpeg, scan of others' tables": jpeg_changed(0xDA, 6, b"\xff\3\xff"),
        "jpeg, two beginnings": good[:2] + good,
        "jpeg, two frames": jpeg_with(good[good.index(b"\xff\xc0") :][:19]),
        "jpeg, restarts that do not come": jpeg_with(segment(0xDD, b"\0\1")),
        "jpeg, restarts without an interval": good[:-2] + b"\xff\xd0\xff\xd1\xff\xd7" * 50 + b"\xff\xd9",
        "jpeg, restarts out of turn": jpeg_with(segment(0xDD, b"\0\1"))[:-2] + b"\xff\xd5\xff\xd3" * 50 + b"\xff\xd9",
        "jpeg, lines told later": good[:-2] + segment(0xDC, b"\xff\xff") + b"\xff\xd9",
        "jpeg, end before the scan": good[:scan] + b"\xff\xd9",
        "jpeg, empty scan": good[: scan + 14] + b"\xff\xd9",
        "jpeg, scan of ones": good[: scan + 14] + b"\xff\0" * 500 + b"\xff\xd9",
        "jpeg, never ends": good[:-2] + bytes(5000),
        "jpeg, profile that lies": jpeg_with(segment(0xE2, b"ICC_PROFILE\0\7\3nonsense")),
        "jpeg, profile without parts": jpeg_with(segment(0xE2, b"ICC_PROFILE\0")),
        "jpeg, no profile at all": jpeg(icc_profile=b"acsp" * 40),
        "jpeg, Adobe's marker cut": jpeg_with(segment(0xEE, b"Adobe")),
        "jpeg, Photoshop's block lies": jpeg_with(segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0\0\xff\xff\xff\xff")),
        "jpeg, index of pictures lies": jpeg_with(segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 200)),
    }


def _gifs() -> dict[str, bytes]:
    good = bytearray(encoded(a_picture(), "GIF"))
    frame = good.index(b",", 13 + (3 << ((good[10] & 7) + 1)))

    def changed(at: int, new: bytes) -> bytes:
        return bytes(good[:at] + new + good[at + len(new) :])

    return {
        "gif, no screen": changed(6, bytes(4)),
        "gif, no frame": changed(frame + 5, bytes(4)),
        "gif, frame beyond the screen": changed(frame + 1, b"\xff\x10\xff\x10"),
        "gif, code size 0": changed(frame + 10, b"\0"),
        "gif, code size 13": changed(frame + 10, b"\x0d"),
        "gif, no palette": changed(10, b"\0"),
        "gif, only its end": bytes(good[:13]) + b";",
        "gif, control block of nothing": gif_with(b"!\xf9\0"),
        "gif, control block too long": gif_with(b"!\xf9\xff" + bytes(255) + b"\0"),
        "gif, unknown block": gif_with(b"?!\x99\0"),
    }


def _tiffs() -> dict[str, bytes]:
    changes: dict[str, tuple[tuple[int, int, int, int], ...]] = {
        "no pixels": ((256, LONG, 1, 0), (257, LONG, 1, 0)),
        "width of two numbers": ((256, LONG, 2, 8),),
        "width as a fraction": ((256, RATIONAL, 1, 8),),
        "packing 9999": ((259, SHORT, 1, 9999),),
        "colours 77": ((262, SHORT, 1, 77),),
        "65,535 samples": ((277, SHORT, 1, 65_535),),
        "64 bits": ((258, SHORT, 1, 64),),
        "data beyond the end": ((273, LONG, 1, 2**32 - 1),),
        "a strip of 4 GB": ((279, LONG, 1, 2**32 - 1),),
        "no rows in a strip": ((278, LONG, 1, 0),),
        "count of 4 billion": ((273, LONG, 2**32 - 1, 8),),
        "unknown type": ((273, 99, 1, 8),),
        "tiles of nothing": ((322, LONG, 1, 0), (323, LONG, 1, 0), (324, LONG, 1, 8)),
        "tiles of 4 billion": ((322, LONG, 1, 2**32 - 1), (323, LONG, 1, 2**32 - 1), (324, LONG, 1, 8)),
        "separate planes of one": ((284, SHORT, 1, 2),),
        "predictor without sense": ((259, SHORT, 1, 5), (317, SHORT, 1, 9)),
        "exif in itself": ((34_665, LONG, 1, 8),),
        "orientation of nonsense": ((274, SHORT, 1, 999),),
        "fax that is none": ((259, SHORT, 1, 4), (258, SHORT, 1, 1)),
        "old jpeg without one": ((259, SHORT, 1, 6),),
        "jpeg without tables": ((259, SHORT, 1, 7),),
        "webp that is none": ((259, SHORT, 1, 50_001),),
    }
    files = {f"tiff, {name}": tiff_of(8, 8, *entries) for name, entries in changes.items()}
    good = encoded(a_picture(), "TIFF")
    sound = tiff_of(8, 8)
    end = 10 + 12 * int.from_bytes(sound[8:10], "little")
    return files | {
        "tiff, directory in itself": sound[:end] + struct.pack("<L", 8) + sound[end + 4 :],
        "tiff, directory beyond the end": good[:4] + b"\xff" * 4 + good[8:],
        "tiff, directory of nothing": b"II*\0\x08\0\0\0\0\0" + bytes(100),
        "tiff, directory of 65,535": b"II*\0\x08\0\0\0\xff\xff" + bytes(100),
        "tiff, 64-bit addresses beyond all": b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(100),
        "tiff, 64-bit directory of all": b"II+\0\x08\0\0\0\x10" + bytes(7) + b"\xff" * 8 + bytes(100),
        "tiff, for the other byte order": b"MM" + good[2:],
    }


def _others() -> dict[str, bytes]:
    bmp = encoded(a_picture(), "BMP")
    webp, jp2, avif = (encoded(a_picture(), form) for form in ("WEBP", "JPEG2000", "AVIF"))

    def with_number(at: int, number: int) -> bytes:
        return bmp[:at] + struct.pack("<i", number) + bmp[at + 4 :]

    return {
        "bmp, no width": with_number(18, 0),
        "bmp, no height": with_number(22, 0),
        "bmp, most negative height": with_number(22, -(2**31)),
        "bmp, upside down": with_number(22, -23),
        "bmp, 77 bits": with_number(26, 77 << 16 | 1),
        "bmp, packing 9": with_number(30, 9),
        "bmp, a billion colours": with_number(26, 8 << 16 | 1)[:46] + struct.pack("<I", 2**30) + bmp[50:],
        "bmp, data before the file": with_number(10, 2),
        "bmp, data beyond the end": with_number(10, 2**31 - 1),
        "bmp, header of 4 GB": with_number(14, -1),
        "webp, length of nothing": webp[:4] + bytes(4) + webp[8:],
        "webp, length of 4 GB": webp[:4] + b"\xff" * 4 + webp[8:],
        "webp, canvas of another size": riff((b"VP8X", bytes(4) + b"\xff\0\0\xff\0\0"), (b"VP8 ", webp[20:])),
        "webp, film without frames": riff((b"VP8X", b"\2\0\0\0\7\0\0\7\0\0"), (b"ANIM", bytes(6))),
        "webp, frame beyond the canvas": riff(
            (b"VP8X", b"\2\0\0\0\7\0\0\7\0\0"), (b"ANIM", bytes(6)), (b"ANMF", b"\xff" * 16 + webp[12:])
        ),
        "webp, empty": riff(),
        "jpeg 2000, box of nothing": jp2[:12] + box(b"jp2h", length=0) + jp2[12:],
        "jpeg 2000, box of 16 EB": jp2[:12] + box(b"free", b"\xff" * 8, length=1) + jp2[12:],
        "jpeg 2000, box in itself": jp2[:12] + box(b"jp2h", box(b"jp2h", box(b"ihdr", bytes(14)))),
        "jpeg 2000, no codestream": jp2[: jp2.index(b"jp2c") - 4],
        "jpeg 2000, 200 components": jp2.replace(b"\0\3\7\1\1\7\1\1\7\1\1", b"\0\xc8\7\1\1\7\1\1\7\1\1"),
        "avif, brand only": avif[:24],
        "avif, box of nothing": avif[:32] + bytes(4) + avif[36:],
        "avif, box of 4 GB": avif[:32] + b"\xff" * 4 + avif[36:],
        "avif, another codec": avif.replace(b"av01", b"hvc1"),
        "avif, places beyond the end": avif.replace(b"iloc\0\0\0\0", b"iloc\0\0\0\0", 1)[:200]
        + b"\xff" * 60
        + avif[260:],
        "avif, no pixels": avif.replace(struct.pack(">II", 31, 23), bytes(8)),
        "ppm, no pixels": b"P6 0 0 255\n",
        "ppm, negative": b"P6 -1 -1 255\n" + bytes(9),
        "ppm, no maximum": b"P6 1 1 0\n" + bytes(9),
        "ppm, maximum of 9,999,999": b"P6 1 1 9999999\n" + bytes(9),
        "ppm, letters": b"P3 1 1 255\nred green blue\n",
        "ppm, floating point": b"Pf 1 1 -1.0\n" + bytes(4),
        "ppm, arbitrary": b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(3),
    }


def _exif() -> dict[str, bytes]:
    entry = struct.pack
    blocks = {
        "orientation 0": exif_orientation(0),
        "orientation 9": exif_orientation(9),
        "orientation 65,535": exif_orientation(65_535),
        "orientation twice": exif_with(entry(">HHLHH", 0x0112, 3, 1, 6, 0), entry(">HHLHH", 0x0112, 3, 1, 3, 0)),
        "orientation as text": exif_with(entry(">HHL4s", 0x0112, 2, 4, b"six\0")),
        "orientation as a fraction": exif_with(entry(">HHLL", 0x0112, 5, 1, 8)),
        "orientation of 4 billion": exif_with(entry(">HHLL", 0x0112, 3, 2**32 - 1, 8)),
        "orientation of an unknown type": exif_with(entry(">HHLL", 0x0112, 200, 1, 6)),
        "directory in itself": exif_with(entry(">HHLL", 0x8769, 4, 1, 8), entry(">HHLL", 0x8825, 4, 1, 8)),
        "directory of 65,535": b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(40),
        "directory beyond the end": b"Exif\0\0MM\0*\xff\xff\xff\xff",
        "no directory": b"Exif\0\0",
        "no byte order": b"Exif\0\0XX\0*\0\0\0\x08",
        "nothing but bytes": b"Exif\0\0" + bytes(range(256)) * 20,
        "60,000 bytes": b"Exif\0\0MM\0*\0\0\0\x08" + bytes(60_000),
    }
    return {
        f"{form.lower()} exif, {name}": encoded(a_picture(), form, exif=block)
        for name, block in blocks.items()
        for form in ("JPEG", "PNG", "WEBP")
    }


def _odd() -> dict[str, bytes]:
    """Unusual, but sound."""
    picture = a_picture()
    wide = Image.fromarray((np.mgrid[:23, :31][1] * 2000).astype(np.uint16))
    alpha = picture.convert("RGBA")
    return {
        "odd: tiff lab": encoded(picture.convert("LAB"), "TIFF"),
        "odd: tiff ycbcr": encoded(picture.convert("YCbCr"), "TIFF"),
        "odd: tiff 32 bits": encoded(wide.convert("I"), "TIFF"),
        "odd: tiff floating point": encoded(wide.convert("F"), "TIFF"),
        "odd: tiff grey with alpha": encoded(alpha.convert("LA"), "TIFF"),
        "odd: jpeg of quality 0": jpeg(quality=0),
        "odd: jpeg with restarts": jpeg(restart_marker_blocks=1),
        "odd: jpeg without chroma's resolution": jpeg(subsampling="4:1:1"),
        "odd: jpeg kept as rgb": jpeg(keep_rgb=True),
        "odd: jpeg 2000 with alpha": encoded(alpha, "JPEG2000"),
        "odd: jpeg 2000 of 16 bits": encoded(wide, "JPEG2000"),
        "odd: jpeg 2000 codestream": encoded(picture, "JPEG2000", no_jp2=True),
        "odd: webp with alpha": encoded(alpha, "WEBP"),
        "odd: avif with alpha": encoded(alpha, "AVIF"),
        "odd: gif transparent": encoded(picture.quantize(8), "GIF", transparency=0),
        "odd: png of two colours": encoded(picture.quantize(2), "PNG", bits=1),
        "odd: bmp of 32 bits": encoded(alpha, "BMP"),
        "odd: ppm of bits": encoded(picture.convert("1"), "PPM"),
        "odd: one pixel": encoded(picture.crop((0, 0, 1, 1)), "PNG"),
    }
