"""The forms in which a mask travels: COCO run lengths, polygons, or a picture."""

from base64 import b64encode
from enum import StrEnum
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco
from typing_extensions import TypedDict

BoolMask = npt.NDArray[np.bool_]

_POLYGON_TOLERANCE = 1.0
"""Pixels by which a simplified outline may differ from the mask's."""


class MaskFormat(StrEnum):
    """How a caller wants masks."""

    RLE = "rle"
    POLYGON = "polygon"
    PNG = "png"
    NONE = "none"


class RleMask(TypedDict):
    """A mask of the whole image as COCO's compressed run lengths; ``size`` is [height, width]."""

    format: Literal["rle"]
    size: list[int]
    counts: str


class PolygonMask(TypedDict):
    """Outlines of a mask, each a list of [x, y] in image pixels; a hole is an outline within another (even-odd)."""

    format: Literal["polygon"]
    points: list[list[list[float]]]


class PngMask(TypedDict):
    """A mask of the whole image as a grey PNG (0 outside, 255 inside), in base64."""

    format: Literal["png"]
    data: str


Mask = RleMask | PolygonMask | PngMask


def encode_mask(mask: BoolMask, form: MaskFormat) -> Mask | None:
    """A mask bool [H, W] in the form asked for; None for `MaskFormat.NONE`."""
    match form:
        case MaskFormat.RLE:
            return _rle(mask)
        case MaskFormat.POLYGON:
            return {"format": "polygon", "points": outlines(mask)}
        case MaskFormat.PNG:
            ok, png = cv2.imencode(".png", mask.view(np.uint8) * np.uint8(255))
            if not ok:
                raise RuntimeError("OpenCV could not write a PNG")
            return {"format": "png", "data": b64encode(png.tobytes()).decode("ascii")}
        case MaskFormat.NONE:
            return None


def decode_rle(mask: RleMask) -> BoolMask:
    """The mask bool [H, W] that run lengths stand for."""
    height, width = mask["size"]
    decoded = coco.decode({"size": [height, width], "counts": mask["counts"].encode("ascii")})
    return np.asarray(decoded, dtype=np.bool_)


def outlines(mask: BoolMask) -> list[list[list[float]]]:
    """Simplified outlines of a mask bool [H, W], holes included; specks are left out.

    They run through the centres of the mask's outermost pixels, the centre of the first being at (0.5, 0.5): so they
    lie in the same plane as boxes, and cut down to whole numbers they are what OpenCV's `fillPoly` wants.
    """
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    simplified = (cv2.approxPolyDP(contour, _POLYGON_TOLERANCE, closed=True)[:, 0] for contour in contours)
    return [(points + 0.5).tolist() for points in simplified if len(points) >= 3]


def _rle(mask: BoolMask) -> RleMask:
    counts = coco.encode(np.asfortranarray(mask.view(np.uint8)))["counts"]
    return {"format": "rle", "size": list(mask.shape), "counts": str(counts, "ascii")}  # type: ignore[arg-type]
