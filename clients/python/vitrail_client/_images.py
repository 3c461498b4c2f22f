"""Whatever holds an image → its encoded bytes."""

import io
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias, runtime_checkable

from vitrail_client._extras import needs


@runtime_checkable
class Savable(Protocol):
    """A picture of Pillow's."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:  # noqa: A002 - Pillow's name
        """Write the picture to a file."""


@runtime_checkable
class Array(Protocol):
    """A NumPy array, or what gives itself out as one: uint8 [H, W], [H, W, 3] or [H, W, 4], RGB."""

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


Image: TypeAlias = bytes | bytearray | memoryview | str | PathLike[str] | BinaryIO | Savable | Array
"""The file's bytes, its path, the open file, a picture of Pillow's, or an array uint8 RGB; the last two go as PNG."""


def encoded(image: Image) -> bytes:
    """The bytes that are sent; OSError where a file cannot be read, TypeError for what is no image."""
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | PathLike):
        return Path(image).read_bytes()
    if isinstance(image, Savable):
        return _png(image)
    if isinstance(image, Array):
        return _png(_picture(image))
    if hasattr(image, "read"):
        return image.read()
    raise TypeError(f"{type(image).__name__} is no image: give bytes, a path, an open file, a picture or an array")


def _picture(array: Array) -> Savable:
    with needs("arrays"):
        from PIL import Image as pillow  # noqa: N813, PLC0415  an extra
    return pillow.fromarray(array)


def _png(picture: Savable) -> bytes:
    buffer = io.BytesIO()
    # Speed matters more than size on the way to a service that is near.
    picture.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
