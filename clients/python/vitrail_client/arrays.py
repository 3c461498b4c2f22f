"""Masks and maps as NumPy arrays; ``pip install 'vitrail-client[arrays]'``."""

import io
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from vitrail_client.schemas import (
    BitsMask,
    DenseMap,
    ImageSize,
    Palette,
    PaletteMask,
    PngMask,
    PolygonMask,
    RleMask,
)

BoolMask: TypeAlias = npt.NDArray[np.bool_]
Mask: TypeAlias = RleMask | PolygonMask | PngMask | PaletteMask | BitsMask


def mask_to_array(mask: Mask, image: ImageSize, palette: Palette | None = None) -> BoolMask:
    """A segment's mask, in any form, as bool [H, W] of the whole image.

    Args:
        mask: The segment's ``mask``.
        image: The result's ``image``.
        palette: The result's ``palette``, for masks of that form.

    Raises:
        ValueError: The palette is missing.
    """
    if mask["format"] == "polygon":
        return _filled(mask["points"], image)
    if mask["format"] == "palette":
        if palette is None:
            raise ValueError("a mask of the form palette needs the result's palette")
        return np.asarray(_picture(palette["data"]) == mask["value"])
    return _placed(_inside(mask), mask.get("origin", [0, 0]), image)


def map_to_array(dense: DenseMap) -> npt.NDArray[Any]:
    """A result's ``map``: float32 [H, W] in the map's own units, or uint8 [H, W, 3] RGB of a restored picture.

    A grey PNG gives each value to within half a step between two greys; an NPY gives it as it is.
    """
    if dense["format"] == "npy":
        return np.asarray(np.load(io.BytesIO(dense["data"]), allow_pickle=False))
    values = _picture(dense["data"])
    if values.ndim == 3:
        return values
    step = (dense["max"] - dense["min"]) / np.iinfo(values.dtype).max
    return (values * step + dense["min"]).astype(np.float32)


def _inside(mask: RleMask | PngMask | BitsMask) -> BoolMask:
    """The mask bool [h, w], of the image or of its box."""
    if mask["format"] == "png":
        return _picture(mask["data"]) > 0
    height, width = mask["size"]
    if mask["format"] == "bits":
        rows = np.frombuffer(mask["data"], np.uint8).reshape(height, -1)
        return np.unpackbits(rows, axis=1, count=width).astype(np.bool_)
    packed: Any = {"size": [height, width], "counts": mask["counts"].encode("ascii")}
    return np.asarray(coco.decode(packed), np.bool_)


def _placed(inside: BoolMask, origin: list[int], image: ImageSize) -> BoolMask:
    whole = np.zeros((image["height"], image["width"]), np.bool_)
    left, top = origin
    whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return whole


def _filled(outlines: list[list[list[float]]], image: ImageSize) -> BoolMask:
    """What lies within an odd number of outlines, and the outlines themselves, which run through pixels inside."""
    size = (image["width"], image["height"])
    filled = np.zeros(size[::-1], np.bool_)
    lines = Image.new("1", size)
    for outline in outlines:
        points = [(int(x), int(y)) for x, y in outline]
        one = Image.new("1", size)
        ImageDraw.Draw(one).polygon(points, fill=1, outline=1)
        filled ^= np.asarray(one)
        ImageDraw.Draw(lines).line([*points, points[0]], fill=1)
    return np.asarray(filled | np.asarray(lines))


def _picture(data: bytes) -> npt.NDArray[Any]:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture)
