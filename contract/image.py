"""Encoded bytes → pixels, within bounds that are checked before memory is spent."""

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from contract.preprocess import Pixels

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What is read, by Pillow's names; all others are refused unread."""

# Pillow's own limit is a process-wide number that would only warn; `DecodeLimits` replaces it.
Image.MAX_IMAGE_PIXELS = None

_ORIENTATION = 0x0112
_APP1, _START_OF_SCAN = 0xE1, 0xDA

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

    Raises:
        InvalidImage: not an image of a known format, or truncated or broken, or without the alpha that is wanted.
        ImageTooLarge: beyond ``limits``.
    """
    if not data:
        raise InvalidImage("the image is empty")
    if trimap:
        return _decode_any(data, limits, _rgba)
    if data[:3] == b"\xff\xd8\xff" and (pixels := _decode_jpeg(data, limits)) is not None:
        return pixels
    return _decode_any(data, limits, _rgb)


def _decode_jpeg(data: bytes, limits: DecodeLimits) -> Pixels | None:
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
    return _upright(pixels, _jpeg_orientation(data)) if _may_be_turned(data) else pixels


def _may_be_turned(data: bytes) -> bool:
    """Whether a JPEG has an APP1 segment (EXIF or XMP), wherever it stands before the first scan."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in (_APP1, _START_OF_SCAN):
            return marker == _APP1
        # Any number of 0xFF may fill the space before a marker.
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return True


def _jpeg_orientation(data: bytes) -> int:
    """The EXIF orientation, 1 (upright) where it cannot be read."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            return _orientation(image)
    except _BROKEN:
        return 1


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _BROKEN:
        return 1
    return value if isinstance(value, int) else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Undo an EXIF orientation 1…8 (EXIF 2.32, tag 0x0112); others count as upright."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    return np.ascontiguousarray(pixels if flip is None else cv2.flip(pixels, flip), np.uint8)


def _decode_any(data: bytes, limits: DecodeLimits, channels: Callable[[Image.Image], Pixels]) -> Pixels:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            limits.check(*image.size)
            image.seek(0)
            image.load()
            return _upright(channels(image), _orientation(image))
    except (InvalidImage, ImageTooLarge):
        raise
    except UnidentifiedImageError:
        raise InvalidImage(f"this is not an image that can be read ({', '.join(FORMATS)})") from None
    except _BROKEN as error:
        raise InvalidImage(f"the image is broken or cut short: {_reason(error)}") from error


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
