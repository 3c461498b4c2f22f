"""Pixels as decoded → pixels as the network wants them, and the way back for coordinates.

`preprocess` is the only function in the project that resizes an image for a network: serving, calibration, evaluation
and parity checks all call it, so that training and serving cannot drift apart.
"""

import math
import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import cv2
import cykooz_resizer as fir
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from contract.projection import Axis, Projection, Window

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

# Beyond this many source pixels for each target pixel (on one axis), whole blocks are averaged first; the proper
# filter then works on an image at least this many times too large, where the difference cannot be seen (Pillow calls
# it `reducing_gap` and says that 3 is "almost indistinguishable").
_REDUCING_GAP = 3.0


class Resize(StrEnum):
    """How an image of any size becomes one of the network's size."""

    STRETCH = "stretch"
    SHORTEST_EDGE = "shortest_edge"
    LETTERBOX = "letterbox"


class Interpolation(StrEnum):
    """The resampling filter; all three are widened when shrinking, so none aliases."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    AREA = "area"
    """The mean of the source pixels whose centres a target pixel covers: Pillow's BOX. A box's sharp edge does not
    bear a reduction beforehand, so this filter alone always reads every pixel."""


class PadAnchor(StrEnum):
    """Where a letterboxed image lies within its padding."""

    CENTER = "center"
    TOP_LEFT = "top_left"


_FILTERS = {
    Interpolation.BILINEAR: fir.FilterType.bilinear,
    Interpolation.BICUBIC: fir.FilterType.catmull_rom,
    Interpolation.AREA: fir.FilterType.box,
}


# cykooz-resizer 4.0.1 reads beyond its memory, and crashes, where the bicubic filter has a weight of exactly zero at
# its end, in a part that does not begin at the image's left edge: e.g. of 9 x 5 pixels at shortest_edge 35, cut to
# 15 x 24. Weights are zero only where an output pixel's centre lies exactly on an input pixel's; a part begins this
# little later, in pixels, so that none does. Centres that do not coincide are farther apart, at any size that is read.
_NUDGE = 5e-10

# How far each filter reaches on either side, in target pixels (in source pixels when enlarging).
_FILTER_REACH = {Interpolation.BILINEAR: 1.0, Interpolation.BICUBIC: 2.0}

_SourceBox = tuple[float, float, float, float]
"""Left, top, width and height of a part of an image, in its pixels; fractions count."""


class PreprocessSpec(BaseModel):
    """What happens between a decoded image and the network's input; colour and scale are dealt with in the graph."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    height: int = Field(gt=0, le=8192)
    width: int = Field(gt=0, le=8192)
    resize: Resize
    interpolation: Interpolation
    shortest_edge: int | None = Field(default=None, gt=0, le=8192)
    """Size of the shorter side before the centre crop; only for `Resize.SHORTEST_EDGE`."""
    pad_value: int = Field(default=114, ge=0, le=255)
    pad_anchor: PadAnchor = PadAnchor.CENTER
    frames: int | None = Field(default=None, ge=1, le=512)
    """How many frames a clip has; None where the network takes single images."""
    trimap: bool = False
    """The network takes a fourth channel: 0 background, 255 foreground, 128 unknown. It travels as the alpha."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch axis: [H, W, 3], [H, W, 4] or [T, H, W, 3]."""
        image = (self.height, self.width, 4 if self.trimap else 3)
        return image if self.frames is None else (self.frames, *image)

    @model_validator(mode="after")
    def _shortest_edge_fits(self) -> Self:
        if (self.resize is Resize.SHORTEST_EDGE) != (self.shortest_edge is not None):
            raise ValueError("shortest_edge belongs to resize=shortest_edge, and is needed there")
        if self.shortest_edge is not None and self.shortest_edge < max(self.height, self.width):
            raise ValueError("shortest_edge must be at least as large as the crop")
        return self


@dataclass(frozen=True, slots=True)
class Geometry:
    """How image coordinates became input coordinates: ``input = image * scale + offset``, in pixels, on each axis."""

    image_width: int
    image_height: int
    input_width: int
    input_height: int
    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    @classmethod
    def of(cls, image_width: int, image_height: int, spec: PreprocessSpec) -> Self:
        """The geometry that `preprocess` will give an image of this size."""
        if spec.resize is Resize.STRETCH:
            resized, offset = (spec.width, spec.height), (0, 0)
        elif spec.resize is Resize.SHORTEST_EDGE:
            resized = _scale_to(spec.shortest_edge or 0, min(image_width, image_height), image_width, image_height)
            offset = (-round((resized[0] - spec.width) / 2), -round((resized[1] - spec.height) / 2))
        else:
            resized = _fit_within(spec.width, spec.height, image_width, image_height)
            spare = (spec.width - resized[0], spec.height - resized[1])
            offset = (spare[0] // 2, spare[1] // 2) if spec.pad_anchor is PadAnchor.CENTER else (0, 0)
        return cls(
            image_width=image_width,
            image_height=image_height,
            input_width=spec.width,
            input_height=spec.height,
            scale_x=resized[0] / image_width,
            scale_y=resized[1] / image_height,
            offset_x=float(offset[0]),
            offset_y=float(offset[1]),
        )

    def to_image(self, points: Floats) -> Floats:
        """Map points f32 [..., 2] (x, y) from input pixels to image pixels, kept inside the image."""
        mapped = (points - self._offset) / self._scale
        return np.clip(mapped, 0, np.array([self.image_width, self.image_height], np.float32)).astype(np.float32)

    def to_input(self, points: Floats) -> Floats:
        """Map points f32 [..., 2] (x, y) from image pixels to input pixels; they may lie outside the input."""
        return (points * self._scale + self._offset).astype(np.float32)

    def boxes_to_image(self, boxes: Floats) -> Floats:
        """Map boxes f32 [N, 4] (xyxy in 0…1 of the input) to image pixels, kept inside the image."""
        corners = boxes.reshape(-1, 2, 2) * np.array([self.input_width, self.input_height], np.float32)
        return self.to_image(corners).reshape(-1, 4)

    def map_to_image(self, dense: npt.NDArray[Any], interpolation: int = cv2.INTER_LINEAR) -> Floats:
        """Map a dense map [h, w] that covers the whole input onto the image, f32 [image_height, image_width].

        ``interpolation`` is cv2.INTER_LINEAR or cv2.INTER_NEAREST. What the network did not see (outside a centre
        crop) becomes 0; what lay in the padding is dropped.
        """
        projection = self.projection(dense.shape[0], dense.shape[1])
        sample = projection.nearest if interpolation == cv2.INTER_NEAREST else projection.linear
        part = sample(dense, projection.seen).astype(np.float32, copy=False)
        if part.shape == (self.image_height, self.image_width):
            return part
        mapped = np.zeros((self.image_height, self.image_width), np.float32)
        mapped[projection.seen] = part
        return mapped

    def projection(self, height: int, width: int) -> Projection:
        """How a map [height, width] that covers the whole input lies on the image: for parts of `map_to_image`."""
        to_map_x, to_map_y = width / self.input_width, height / self.input_height
        return Projection(
            Axis.of(self.image_height, height, self.scale_y * to_map_y, self.offset_y * to_map_y),
            Axis.of(self.image_width, width, self.scale_x * to_map_x, self.offset_x * to_map_x),
            Window(*self.seen),
        )

    @property
    def seen(self) -> tuple[slice, slice]:
        """Rows and columns of the image that the network saw: all of them, but for a centre crop; never none."""
        image = np.array([self.image_width, self.image_height])
        size = np.array([self.input_width, self.input_height], np.float64)
        low = np.clip(np.round(-self._offset / self._scale).astype(int), 0, image - 1)
        high = np.clip(np.round((size - self._offset) / self._scale).astype(int), low + 1, image)
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    @property
    def _scale(self) -> npt.NDArray[np.float64]:
        return np.array([self.scale_x, self.scale_y], np.float64)

    @property
    def _offset(self) -> npt.NDArray[np.float64]:
        return np.array([self.offset_x, self.offset_y], np.float64)


def preprocess(pixels: Pixels, spec: PreprocessSpec) -> tuple[Pixels, Geometry]:
    """Resize decoded pixels uint8 [H, W, 3] to the network's input uint8 [height, width, 3].

    Where the specification wants a trimap, the pixels are uint8 [H, W, 4], and so is the input: the trimap is resized
    by its nearest pixels, so that it keeps its three values, and padding is background. Of a clip, each frame goes
    through here. Raises ValueError for pixels without the trimap that is wanted, or with one that is not.

    Bicubic and bilinear are those of Pillow (antialiased when shrinking), which torchvision, timm and transformers
    evaluate with, to within one grey level; the resize and the crop are one step, so nothing is computed that is then
    thrown away. The result is C-contiguous; it may be read-only (the resampler's own memory), so whoever wants to
    write in it copies it.
    """
    height, width, channels = pixels.shape
    if channels != spec.input_shape[-1]:
        raise ValueError(f"the pixels have {channels} channels; the network takes {spec.input_shape[-1]}")
    geometry = Geometry.of(width, height, spec)
    if spec.trimap:
        return _with_trimap(pixels, spec, geometry), geometry
    return _resize(pixels, spec, geometry), geometry


def _resize(pixels: Pixels, spec: PreprocessSpec, geometry: Geometry) -> Pixels:
    """The input uint8 [height, width, 3] of pixels uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    if spec.resize is not Resize.LETTERBOX:
        box = (
            -geometry.offset_x / geometry.scale_x,
            -geometry.offset_y / geometry.scale_y,
            spec.width / geometry.scale_x,
            spec.height / geometry.scale_y,
        )
        return resample(pixels, box, spec.width, spec.height, spec.interpolation)
    inner_width, inner_height = round(width * geometry.scale_x), round(height * geometry.scale_y)
    inner = resample(pixels, (0, 0, width, height), inner_width, inner_height, spec.interpolation)
    canvas = np.full((spec.height, spec.width, 3), spec.pad_value, np.uint8)
    left, top = int(geometry.offset_x), int(geometry.offset_y)
    canvas[top : top + inner_height, left : left + inner_width] = inner
    return canvas


def _with_trimap(pixels: Pixels, spec: PreprocessSpec, geometry: Geometry) -> Pixels:
    """The input uint8 [height, width, 4] of pixels uint8 [H, W, 4]."""
    colours = _resize(np.ascontiguousarray(pixels[:, :, :3]), spec, geometry)
    columns, column_known = _nearest(spec.width, geometry.scale_x, geometry.offset_x, geometry.image_width)
    rows, row_known = _nearest(spec.height, geometry.scale_y, geometry.offset_y, geometry.image_height)
    trimap = pixels[:, :, 3][np.ix_(rows, columns)] * np.outer(row_known, column_known)
    return np.dstack([colours, trimap])


def _nearest(
    length: int, scale: float, offset: float, limit: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """On one axis, the image pixel that lies under the centre of each input pixel, and whether there is one."""
    places = np.floor((np.arange(length) + 0.5 - offset) / scale)
    return np.clip(places, 0, limit - 1).astype(np.intp), (places >= 0) & (places < limit)


def _scale_to(target: int, side: int, width: int, height: int) -> tuple[int, int]:
    """Scale so that ``side`` becomes ``target``; truncating, as torchvision's Resize does."""
    return max(1, int(target * width / side)), max(1, int(target * height / side))


def _fit_within(max_width: int, max_height: int, width: int, height: int) -> tuple[int, int]:
    scale = min(max_width / width, max_height / height)
    return min(max_width, max(1, round(width * scale))), min(max_height, max(1, round(height * scale)))


class _ThreadLocalResizer(threading.local):
    """One resizer a thread: it keeps scratch memory between calls and must not be shared."""

    def __init__(self) -> None:
        self.resizer = fir.Resizer()


_local = _ThreadLocalResizer()


def resample(pixels: Pixels, box: _SourceBox, width: int, height: int, interpolation: Interpolation) -> Pixels:
    """Resample ``box`` of ``pixels`` uint8 [H, W, 3] to ``height`` x ``width``; the filter reaches beyond the box."""
    pixels, box = _reduce(pixels, box, width, height, interpolation)
    rows, columns = pixels.shape[:2]
    left, top = (edge + _NUDGE if edge > 0 else 0.0 for edge in box[:2])
    crop = fir.CropBox(left, top, min(box[2], columns - left), min(box[3], rows - top))
    source = fir.ImageData(columns, rows, fir.PixelType.U8x3, pixels.tobytes())
    target = fir.ImageData(width, height, fir.PixelType.U8x3)
    convolution = fir.ResizeAlg.convolution(_FILTERS[interpolation])
    _local.resizer.resize(source, target, fir.ResizeOptions(convolution, crop_box=crop))
    return np.frombuffer(target.get_buffer(), np.uint8).reshape(height, width, 3)


def _reduce(
    pixels: Pixels, box: _SourceBox, width: int, height: int, interpolation: Interpolation
) -> tuple[Pixels, _SourceBox]:
    """Average whole blocks of an image that is far too large, cut to the part that the filter will read.

    The method is that of Pillow's ``reducing_gap``. Besides being quick, this runs outside the interpreter lock, which
    the resampler holds: a 50-megapixel photograph does not stop the others' requests.
    """
    left, top, box_width, box_height = box
    factor_x = max(1, int(box_width / (width * _REDUCING_GAP)))
    factor_y = max(1, int(box_height / (height * _REDUCING_GAP)))
    if interpolation is Interpolation.AREA or (factor_x == 1 and factor_y == 1):
        return pixels, box
    rows, columns = pixels.shape[:2]
    reach = _FILTER_REACH[interpolation]
    x0, x1 = _read_range(left, box_width, width, reach, columns)
    y0, y1 = _read_range(top, box_height, height, reach, rows)
    reduced = _average_blocks(pixels[y0:y1, x0:x1], factor_x, factor_y)
    return reduced, ((left - x0) / factor_x, (top - y0) / factor_y, box_width / factor_x, box_height / factor_y)


def _read_range(start: float, length: float, target: int, reach: float, limit: int) -> tuple[int, int]:
    """The source pixels on one axis that a filter reads to make ``target`` pixels of ``length``, as [first, last)."""
    margin = reach * max(1.0, length / target)
    return max(0, math.floor(start - margin)), min(limit, math.ceil(start + length + margin))


def _average_blocks(pixels: Pixels, factor_x: int, factor_y: int) -> Pixels:
    """Average blocks of ``factor_y`` x ``factor_x``; the last ones average what there is.

    Whole blocks and the rest go apart, for OpenCV is several times slower where the factor is not a whole number.
    """
    rows, columns = pixels.shape[:2]
    reduced = np.empty((-(-rows // factor_y), -(-columns // factor_x), 3), np.uint8)
    for y, to_y in _whole_and_rest(rows, factor_y):
        for x, to_x in _whole_and_rest(columns, factor_x):
            size = to_x.stop - to_x.start, to_y.stop - to_y.start
            reduced[to_y, to_x] = cv2.resize(pixels[y, x], size, interpolation=cv2.INTER_AREA)
    return reduced


def _whole_and_rest(length: int, factor: int) -> list[tuple[slice, slice]]:
    """Source and target ranges on one axis: of the whole blocks, and of the cut one at the end."""
    blocks = length // factor
    whole = (slice(0, blocks * factor), slice(0, blocks))
    rest = (slice(blocks * factor, length), slice(blocks, blocks + 1))
    return [pair for pair in (whole, rest) if pair[0].stop > pair[0].start]
