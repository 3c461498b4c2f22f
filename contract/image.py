"""Encoded bytes → pixels, within bounds that are checked before memory is spent."""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from contract import jpeg2000
from contract.exif import numbers_in, orientation, tile_in
from contract.jpeg_header import JPEG, read_header, without_metadata
from contract.preprocess import Pixels

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What is read, by Pillow's names; all others are refused unread."""

# Pillow's own limit is a process-wide number that would only warn; `DecodeLimits` replaces it.
Image.MAX_IMAGE_PIXELS = None
# What Pillow remarks on would be printed, and kept for ever to be printed but once.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# OpenCV would write a line for each broken file; what is wrong with it is told to its sender.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_AVIF_BRANDS = (b"avif", b"avis", b"mif1", b"msf1")
_GIF_FRAME = struct.Struct("<HHHHB")
"""A frame's place, size and flags, behind a comma."""
_TEXT_PPM = (b"P1", b"P2", b"P3")

# A small file can ask for much work; these bounds are far above what any camera or program writes.
_MOST_SCANS, _MOST_SCANNED = 100, 1_000_000_000
"""Passes over a JPEG, and their number times its pixels: each costs time by the pixels, whatever its bytes."""
_MOST_NUMBERS = 250_000
"""In a TIFF's directory, of which Pillow makes objects."""
_MOST_TILES = 3_072
"""Of a JPEG 2000, each of which takes 8 to 26 kB even if it is empty: 50 megapixels in tiles of 128 on a side."""
_MOST_COMMENTS = 1_000
"""In a PPM that is text: for each of them Pillow moves up to 1 MB."""
_MOST_STEPS, _MOST_STEPS_OF_PIXELS = 20_000, 100_000
"""Pieces that a file's header may be read in, and its pixels: Pillow reads chunks and strips one by one, in Python."""
_MOST_PIXELS_OF = {"ppm": 1_000_000, "ppm_plain": 1_000_000, "bmp_rle": 4_000_000, "jpeg2k": 4_000_000}
"""For those of Pillow's decoders that let no other thread go on meanwhile."""

_Channels = Callable[[Image.Image], Pixels]
"""What is made of a picture's channels: `_rgb` or `_rgba`."""

# Pillow's plugins answer broken files with whatever their parsing runs into.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    RuntimeError,
    MemoryError,
    cv2.error,
    struct.error,
    zlib.error,
)


class InvalidImage(ValueError):
    """Bytes that are not an image, or a broken one. The message is meant for the caller."""


class ImageTooLarge(ValueError):
    """An image that is larger than allowed. The message is meant for the caller."""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """The largest image that is decoded."""

    max_pixels: int = 50_000_000
    max_side: int = 32_000
    """OpenCV maps no image with a longer side."""

    def check(self, width: int, height: int) -> None:
        """Raise ImageTooLarge for a size beyond the limits, InvalidImage for an empty one."""
        if width < 1 or height < 1:
            raise InvalidImage("the image has no pixels")
        if width * height > self.max_pixels or max(width, height) > self.max_side:
            raise ImageTooLarge(
                f"the image is {width} x {height} pixels; at most {self.max_pixels:,} pixels and "
                f"{self.max_side:,} on a side are read"
            )


DEFAULT_LIMITS = DecodeLimits()


def decode(data: bytes, limits: DecodeLimits = DEFAULT_LIMITS, *, trimap: bool = False) -> Pixels:
    """Decode an image file to RGB uint8 [H, W, 3], upright by its EXIF orientation.

    Transparency is laid over white; 16-bit greys keep their upper byte; CMYK is converted; of an animation the first
    frame counts. The size is checked before any pixel is decoded. Where a ``trimap`` is wanted the colours stay as
    they are, and the alpha channel, which holds it, comes after them: uint8 [H, W, 4].

    A file that would take far more time or memory than its pixels do is refused as well: a JPEG of hundreds of scans,
    a PNG of a hundred thousand chunks, a TIFF whose directory is larger than its picture, and so on.

    Raises:
        InvalidImage: not an image of a known format, or truncated or broken, or without the alpha that is wanted, or
            in far more pieces than any picture needs.
        ImageTooLarge: beyond ``limits``, or, of its format, beyond what is decoded in a few seconds.
    """
    if not data:
        raise InvalidImage("the image is empty")
    channels = _rgba if trimap else _rgb
    if data[:3] == JPEG:
        return _decode_jpeg(data, limits, channels)
    return _decode_any(data, limits, channels)


def _decode_jpeg(data: bytes, limits: DecodeLimits, channels: _Channels) -> Pixels:
    header = read_header(data)
    if header is None:
        raise InvalidImage("the image is broken or cut short: no picture begins behind the JPEG's header")
    limits.check(header.width, header.height)
    if header.scans > 1 and header.scans > (most := _most_scans(header.width * header.height)):
        raise ImageTooLarge(f"the JPEG has {header.scans:,} scans; at most {most:,} are read of one of its size")
    pixels = _decode_usual_jpeg(data, limits) if channels is _rgb else None
    if pixels is None:
        pixels = _decode_any(without_metadata(data), limits, channels)
    return _upright(pixels, header.orientation)


def _most_scans(pixels: int) -> int:
    return max(1, min(_MOST_SCANS, _MOST_SCANNED // pixels))


def _decode_usual_jpeg(data: bytes, limits: DecodeLimits) -> Pixels | None:
    """The fast way for the usual JPEG; None where Pillow's patience is needed (CMYK, odd or broken data)."""
    try:
        height, width, colourspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    if colourspace not in ("YCbCr", "Gray", "RGB"):
        return None
    limits.check(width, height)
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError:
        return None
    return pixels


def _decode_any(data: bytes, limits: DecodeLimits, channels: _Channels) -> Pixels:
    try:
        if data[4:8] == b"ftyp" and data[8:12] in _AVIF_BRANDS and AvifImagePlugin.SUPPORTED:
            return _decode_avif(data, limits, channels)
        return _decode_by_pillow(data, limits, channels)
    except (InvalidImage, ImageTooLarge):
        raise
    except UnidentifiedImageError:
        raise InvalidImage(f"this is not an image that can be read ({', '.join(FORMATS)})") from None
    except _BROKEN as error:
        raise InvalidImage(f"the image is broken or cut short: {_reason(error)}") from error


def _decode_avif(data: bytes, limits: DecodeLimits, channels: _Channels) -> Pixels:
    """By Pillow's decoder, but not its plugin, which would read all EXIF, and needs none: AVIF tells how to turn it."""
    from PIL import _avif  # noqa: PLC0415  # Pillow may have been built without it

    decoder = _avif.AvifDecoder(data, "auto", _PROCESSORS)
    size, _, mode, _, _, turned, _ = decoder.get_info()
    limits.check(*size)
    pixels, *_ = decoder.get_frame(0)
    return _upright(channels(Image.frombuffer(mode, size, pixels)), turned)


class _File(io.BytesIO):
    """A file that is read in a bounded number of pieces."""

    steps = _MOST_STEPS

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.BytesIO.read`; InvalidImage when that was too often."""
        self.steps -= 1
        if self.steps < 0:
            raise InvalidImage("the image is in more pieces than any picture needs")
        return super().read(size)


class _GifFile(_File):
    """A GIF whose first frame is held to the limits when its place is read: Pillow may fill that place at once."""

    def __init__(self, data: bytes, limits: DecodeLimits) -> None:
        super().__init__(data)
        self._limits = limits
        self._before = b""

    def read(self, size: int | None = -1, /) -> bytes:
        """See `io.BytesIO.read`; ImageTooLarge for a frame beyond the limits, whatever the screen's size."""
        piece = super().read(size)
        if self._before == b"," and size == _GIF_FRAME.size == len(piece):
            left, top, width, height, _ = _GIF_FRAME.unpack(piece)
            self._limits.check(max(left + width, 1), max(top + height, 1))
        self._before = piece
        return piece


def _decode_by_pillow(data: bytes, limits: DecodeLimits, channels: _Channels) -> Pixels:
    if data[:2] in _TEXT_PPM and data.count(b"#") > _MOST_COMMENTS:
        raise InvalidImage(f"the PPM has more than {_MOST_COMMENTS:,} comments")
    if numbers_in(data) > _MOST_NUMBERS:
        raise InvalidImage(f"the TIFF's directory holds more than {_MOST_NUMBERS:,} numbers")
    # A tile is decoded whole, however little of it lies within the picture.
    limits.check(*tile_in(data))
    file = _GifFile(data, limits) if data[:3] == b"GIF" else _File(data)
    with Image.open(file, formats=FORMATS) as image:
        limits.check(*image.size)
        if image.format == "JPEG2000" and jpeg2000.tiles_in(data) > _MOST_TILES:
            raise InvalidImage(f"the JPEG 2000 has more than {_MOST_TILES:,} tiles")
        if image.format == "JPEG2000" and channels is _rgb and jpeg2000.is_plain(data, *image.size):
            return _decode_plain_jpeg_2000(data)
        file.steps = _MOST_STEPS_OF_PIXELS + _steps_of_pixels(image)
        image.seek(0)
        image.load()
        return _upright(channels(image), _orientation(image))


def _decode_plain_jpeg_2000(data: bytes) -> Pixels:
    """By OpenCV, because Pillow would hold up all other threads for a second or two."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise InvalidImage("the image is broken or cut short: its codestream makes no sense")
    return np.asarray(pixels, np.uint8)


def _steps_of_pixels(image: ImageFile.ImageFile) -> int:
    """How often a file may be read for its pixels beyond the usual; ImageTooLarge for what would take too long."""
    width, height = image.size
    most = _MOST_PIXELS_OF.get(image.tile[0].codec_name) if image.tile else None
    if most is None:
        return 0
    if width * height > most:
        raise ImageTooLarge(
            f"the image is {width} x {height} pixels; in this kind of {image.format} at most {most:,} are read, so "
            "send it in another format"
        )
    return 2 * width * height


def _orientation(image: Image.Image) -> int:
    """By the metadata of an image that is loaded; a TIFF is upright then."""
    exif = image.info.get("exif") or _unpacked(image.info.get("Raw profile type exif", ""))
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp", b"")
    if isinstance(image, TiffImagePlugin.TiffImageFile) or not (exif or xmp):
        return 1
    return orientation(exif, xmp.encode(errors="replace") if isinstance(xmp, str) else xmp)


def _unpacked(profile: str) -> bytes:
    """An EXIF block as ImageMagick writes it into a PNG: three lines, then hexadecimal digits."""
    try:
        return bytes.fromhex("".join(profile.split("\n")[3:]))
    except ValueError:
        return b""


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation 1…8 (EXIF 2.32, tag 0x0112); others count as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.ascontiguousarray(pixels if flip is None else cv2.flip(pixels, flip), np.uint8)


def _rgb(image: Image.Image) -> Pixels:
    """RGB uint8 [H, W, 3] of any of Pillow's modes."""
    if image.mode == "F":
        raise InvalidImage("floating-point images have no defined brightness; send 8 or 16 bits a channel")
    if image.mode.startswith("I"):
        grey = (np.clip(np.asarray(image), 0, 65_535) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _rgba(image: Image.Image) -> Pixels:
    """RGBA uint8 [H, W, 4] of a picture that has an alpha channel; InvalidImage for one that has none."""
    if not image.has_transparency_data:
        raise InvalidImage(
            "the model needs an RGBA picture, e.g. a PNG, whose alpha channel is the trimap: 0 background, "
            "255 foreground, 128 unknown"
        )
    return np.array(image if image.mode == "RGBA" else image.convert("RGBA"))


def _reason(error: BaseException) -> str:
    """The first line of an error; nothing of it where it is empty, or tells of addresses or paths."""
    text, *_ = str(error).splitlines() or [""]
    return text[:120] if text and "/" not in text and "0x" not in text else "its data make no sense"
