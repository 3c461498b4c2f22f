"""The forms in which masks travel: COCO run lengths, polygons, pictures, or bits."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, NotRequired, Self

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from pycocotools import mask as coco
from pydantic import Field
from typing_extensions import TypedDict

from contract.tasks.definition import Binary, ImageSize

BoolMask = npt.NDArray[np.bool_]
Outlines = list[list[list[float]]]
"""Outlines, each a list of [x, y] in image pixels; a hole is an outline within another (even-odd)."""
_Contours = Sequence[npt.NDArray[np.int32]]

MAX_PALETTE = 255
"""Segments that one palette can tell apart."""
_LEAST_POINTS = 3
"""Of an outline; with fewer it is a speck."""


class MaskFormat(StrEnum):
    """How a caller wants masks."""

    RLE = "rle"
    POLYGON = "polygon"
    PNG = "png"
    PALETTE = "palette"
    BITS = "bits"
    NONE = "none"


class RleMask(TypedDict):
    """A mask as COCO's compressed run lengths, column by column; ``size`` is [height, width].

    ``origin`` is there where the mask was cut to its box: the place [x, y] of its upper left pixel in the image.
    """

    format: Literal["rle"]
    size: list[int]
    counts: str
    origin: NotRequired[list[int]]


class PolygonMask(TypedDict):
    """Outlines of a mask, each a list of [x, y] in image pixels; a hole is an outline within another (even-odd).

    They differ from the mask's own by ``tolerance`` pixels at most. Specks of one or two pixels have none.
    """

    format: Literal["polygon"]
    tolerance: float
    points: Outlines


class PngMask(TypedDict):
    """A mask as a grey PNG (0 outside, 255 inside); ``origin`` as of run lengths."""

    format: Literal["png"]
    data: Binary
    origin: NotRequired[list[int]]


class PaletteMask(TypedDict):
    """The pixels of the answer's palette that have this value, less those that an earlier segment covers."""

    format: Literal["palette"]
    value: int


class BitsMask(TypedDict):
    """A mask with one bit a pixel, row by row, the most significant bit first, each row from a new byte on.

    ``size`` is [height, width]; ``origin`` as of run lengths. It is what NumPy's ``packbits`` makes along axis 1.
    """

    format: Literal["bits"]
    size: list[int]
    origin: NotRequired[list[int]]
    data: Binary


Mask = Annotated[RleMask | PolygonMask | PngMask | PaletteMask | BitsMask, Field(discriminator="format")]


class Palette(TypedDict):
    """All masks of an answer as one PNG with a palette: a pixel's value tells its segment, 0 none."""

    format: Literal["png"]
    data: Binary


@dataclass(frozen=True, slots=True)
class Cutout:
    """A mask within a part of its image that holds all of it."""

    inside: BoolMask
    """Bool [h, w]."""
    left: int
    top: int
    image: ImageSize

    @classmethod
    def of(cls, mask: BoolMask, left: int, top: int, image: ImageSize) -> Self | None:
        """The smallest part that holds the mask bool [h, w], which lies there in its image; None for an empty one."""
        x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
        if not width:
            return None
        return cls(mask[y : y + height, x : x + width], left + x, top + y, image)

    @property
    def area(self) -> int:
        """Its pixels."""
        return cv2.countNonZero(self.inside.view(np.uint8))

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The part of the image: left, top, right and bottom edge."""
        height, width = self.inside.shape
        return self.left, self.top, self.left + width, self.top + height

    def whole(self) -> BoolMask:
        """The mask bool [H, W] of the whole image."""
        canvas = np.zeros((self.image["height"], self.image["width"]), np.bool_)
        left, top, right, bottom = self.box
        canvas[top:bottom, left:right] = self.inside
        return canvas


def run_lengths(cutout: Cutout, *, crop: bool) -> RleMask:
    """COCO's compressed run lengths of the whole image, or of the cutout alone."""
    height, width = cutout.inside.shape
    size = [height, width] if crop else [cutout.image["height"], cutout.image["width"]]
    left, top = (0, 0) if crop else (cutout.left, cutout.top)
    counts = _counts(cutout.inside, left, top, size)
    packed = coco.frPyObjects({"size": size, "counts": counts.tolist()}, *size)["counts"]
    # Its type hints have text here; its code gives bytes.
    mask: RleMask = {"format": "rle", "size": size, "counts": str(packed, "ascii")}  # type: ignore[arg-type]
    if crop:
        mask["origin"] = [cutout.left, cutout.top]
    return mask


def plain_run_lengths(cutout: Cutout) -> npt.NDArray[np.int32]:
    """COCO's run lengths i32 [K] of the cutout alone, not compressed."""
    return _counts(cutout.inside, 0, 0, list(cutout.inside.shape)).astype(np.int32)


def _counts(inside: BoolMask, left: int, top: int, size: list[int]) -> npt.NDArray[np.int64]:
    """COCO's plain run lengths of a mask that lies there in an image, column by column, beginning with what is out."""
    height, width = inside.shape
    # A nought before each column, and one at the end: so no run goes on from one column into the next.
    line = np.zeros(width * (height + 1) + 1, np.uint8)
    line[:-1].reshape(width, height + 1)[:, 1:] = cv2.transpose(inside.view(np.uint8))
    edges = np.flatnonzero(line[1:] != line[:-1])
    edges += edges // (height + 1) * (size[0] - height - 1) + (left * size[0] + top)
    if height == size[0]:
        # Where a column ends inside and the next begins inside, the run does go on.
        joined = np.flatnonzero(edges[1:] == edges[:-1])
        edges = np.delete(edges, np.concatenate([joined, joined + 1]))
    ends = np.concatenate([[0], edges, [size[0] * size[1]]])
    counts: npt.NDArray[np.int64] = ends[1:] - ends[:-1]
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def contours_of(cutout: Cutout) -> _Contours:
    """Outlines i32 [K, 1, 2] through the centres of the mask's outermost pixels, those around its holes included."""
    offset = (cutout.left, cutout.top)
    return cv2.findContours(  # type: ignore[return-value]
        cutout.inside.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=offset
    )[0]


def polygons(contours: _Contours, tolerance: float) -> PolygonMask:
    """Simplified outlines, by Douglas and Peucker's method; with a tolerance of 0, every point.

    The centre of the image's first pixel is at (0.5, 0.5): so they lie in the same plane as boxes, and cut down to
    whole numbers they are what OpenCV's `fillPoly` wants.
    """
    simplified = contours
    if tolerance > 0:
        simplified = [cv2.approxPolyDP(contour, tolerance, closed=True) for contour in contours]  # type: ignore[misc]
    points = [(outline[:, 0] + 0.5).tolist() for outline in simplified if len(outline) >= _LEAST_POINTS]
    return {"format": "polygon", "tolerance": tolerance, "points": points}


def grey_png(cutout: Cutout, *, crop: bool) -> PngMask:
    """A grey PNG of the whole image, or of the cutout alone."""
    inside = cutout.inside if crop else cutout.whole()
    # Run lengths of rows as they are suit masks: no other way is as quick, and few make smaller files.
    options = [
        cv2.IMWRITE_PNG_FILTER,
        cv2.IMWRITE_PNG_FILTER_NONE,
        cv2.IMWRITE_PNG_STRATEGY,
        cv2.IMWRITE_PNG_STRATEGY_RLE,
    ]
    ok, png = cv2.imencode(".png", inside.view(np.uint8) * np.uint8(255), options)
    if not ok:
        raise RuntimeError("OpenCV could not write a PNG")
    mask: PngMask = {"format": "png", "data": png.tobytes()}
    if crop:
        mask["origin"] = [cutout.left, cutout.top]
    return mask


def bits(cutout: Cutout, *, crop: bool) -> BitsMask:
    """One bit a pixel of the whole image, or of the cutout alone."""
    inside = cutout.inside if crop else cutout.whole()
    mask: BitsMask = {"format": "bits", "size": list(inside.shape), "data": np.packbits(inside, axis=1).tobytes()}
    if crop:
        mask["origin"] = [cutout.left, cutout.top]
    return mask


def palette_of(cutouts: Sequence[Cutout], image: ImageSize) -> Palette:
    """At most `MAX_PALETTE` masks in one picture, the earlier ones on top: the first has the value 1."""
    canvas = np.zeros((image["height"], image["width"]), np.uint8)
    for value in range(len(cutouts), 0, -1):
        left, top, right, bottom = cutouts[value - 1].box
        canvas[top:bottom, left:right][cutouts[value - 1].inside] = value
    picture = Image.fromarray(canvas)
    picture.putpalette(_COLOURS[: 3 * (len(cutouts) + 1)])
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return {"format": "png", "data": file.getvalue()}


def _colours() -> bytes:
    """Black, then colours of hues that turn by the golden angle, so that neighbours in the answer differ."""
    places = np.arange(MAX_PALETTE)
    hsv = np.stack([places * 137.508 % 360 / 2, 220 - 60 * (places % 2), 255 - 30 * (places % 5)], axis=1)
    return bytes(3) + bytes(cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB)[0])


_COLOURS = _colours()


def decode_rle(mask: RleMask) -> BoolMask:
    """The mask bool [h, w] that run lengths stand for."""
    height, width = mask["size"]
    decoded = coco.decode({"size": [height, width], "counts": mask["counts"].encode("ascii")})
    return np.asarray(decoded, dtype=np.bool_)


def decode_mask(mask: Mask, image: ImageSize, palette: Palette | None = None) -> Cutout:
    """The mask again, whatever its form; ValueError for one of a palette without the palette."""
    return decode_masks([mask], image, palette)[0]


def decode_masks(masks: Sequence[Mask], image: ImageSize, palette: Palette | None = None) -> list[Cutout]:
    """The masks of one answer again; an empty one is a pixel that is not inside."""
    values = None if palette is None else _values(palette)
    return [
        Cutout.of(inside, left, top, image) or Cutout(np.zeros((1, 1), np.bool_), 0, 0, image)
        for inside, left, top in (_decoded(mask, values) for mask in masks)
    ]


def _decoded(mask: Mask, values: npt.NDArray[np.uint8] | None) -> tuple[BoolMask, int, int]:
    """A mask bool [h, w], and where it lies: left and top."""
    match mask["format"]:
        case "rle":
            return decode_rle(mask), *_origin(mask)
        case "png":
            return _grey(mask["data"]), *_origin(mask)
        case "bits":
            height, width = mask["size"]
            rows = np.frombuffer(mask["data"], np.uint8).reshape(height, -1)
            return np.unpackbits(rows, axis=1, count=width).view(np.bool_), *_origin(mask)
        case "polygon":
            return _filled(mask["points"])
        case "palette":
            if values is None:
                raise ValueError("a mask of a palette needs the palette")
            return values == mask["value"], 0, 0


def _origin(mask: RleMask | PngMask | BitsMask) -> tuple[int, int]:
    left, top = mask.get("origin", (0, 0))
    return left, top


def _grey(data: bytes) -> BoolMask:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise ValueError("the mask's data are no PNG")
    return picture > 0


def _filled(points: Outlines) -> tuple[BoolMask, int, int]:
    """The inside of outlines within the box around them, and where that lies."""
    if not points:
        return np.zeros((1, 1), np.bool_), 0, 0
    outlines = [np.array(outline).astype(np.int32) for outline in points]
    everywhere = np.concatenate(outlines)
    left, top = everywhere.min(axis=0).tolist()
    right, bottom = everywhere.max(axis=0).tolist()
    canvas = np.zeros((bottom - top + 1, right - left + 1), np.uint8)
    cv2.fillPoly(canvas, outlines, (1,), offset=(-left, -top))
    return canvas.view(np.bool_), left, top


def _values(palette: Palette) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(palette["data"])) as picture:
        return np.asarray(picture)
