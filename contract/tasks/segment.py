"""Segment: which pixels belong to what; by class (semantic), by object (instance), or by both (panoptic)."""

from collections.abc import Iterator
from typing import Any, NamedTuple, NotRequired

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry
from contract.projection import Projection, Window
from contract.task import Task
from contract.tasks.definition import (
    Box,
    ImageSize,
    LabelFilter,
    Outputs,
    Parameters,
    Probability,
    Settings,
    TaskDefinition,
    finite,
    label_indices,
    label_of,
    score_of,
)
from contract.tasks.detect import select
from contract.tasks.mask_choice import MaskWish, encode_masks
from contract.tasks.masks import MAX_PALETTE, BoolMask, Cutout, Mask, MaskFormat, Palette

_MAX_SEGMENTS = 100
_ROUNDING = 1 - 1e-6
"""What an interpolated value may be larger than both that it lies between."""


class SegmentParameters(Parameters):
    """What a caller may ask."""

    score_threshold: Probability | None = Field(
        default=None, description="Default: the model card's. Semantic segments have no score."
    )
    mask_format: MaskFormat = Field(
        default=MaskFormat.RLE,
        description="rle: COCO's compressed run lengths; polygon: outlines; png: a grey picture a segment; palette: "
        "one picture for all; bits: one bit a pixel; none: boxes and areas only.",
    )
    mask_tolerance: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="Pixels by which a polygon may differ from the mask's outline; 0 gives every point of it.",
    )
    mask_crop: bool = Field(
        default=False,
        description="Cut rle, png and bits to the segment's box: size is then the box's, and origin [x, y] tells "
        "where it lies. Polygons and palettes ignore it.",
    )
    max_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Of all masks of an image together, as they stand in JSON (base64, no spaces; of a palette its "
        "picture too). Where the form asked for is larger, the whole answer takes the first that fits: rle, "
        "polygons of a tolerance of at least 1, 2, 4, 8, 16 pixels, no masks.",
    )
    labels: LabelFilter = None

    def for_picture(self) -> dict[str, Any]:
        """Bits of the boxes; where no masks are wanted, none are drawn."""
        if self.mask_format is MaskFormat.NONE:
            return {}
        return {"mask_format": MaskFormat.BITS, "mask_crop": True, "max_bytes": None}


class SegmentSettings(Settings):
    """What a card may set."""

    score_threshold: Probability = 0.3
    mask_threshold: Probability = 0.5
    """An instance's mask holds the pixels whose value is at least this."""
    background: int | None = None
    """The class of a semantic model that stands for 'nothing'; it is not answered."""


class Segment(TypedDict):
    """One segment; ``area`` in pixels, ``box`` the smallest that holds the mask."""

    label: str
    index: int
    score: NotRequired[float]
    area: int
    box: Box
    mask: NotRequired[Mask]
    track_id: NotRequired[int]


class SegmentResult(TypedDict):
    """The segments: those with scores best first, classes largest first. One without a single pixel is left out."""

    image: ImageSize
    segments: list[Segment]
    palette: NotRequired[Palette]


class _Found(NamedTuple):
    """A segment before its mask has a form."""

    label: int
    score: float | None
    cutout: Cutout


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> SegmentResult:
    """The tensors of a semantic, instance or panoptic model → segments in image pixels.

    Semantic: ``class_map`` u8/i16 [h,w]. Instance: boxes, scores, labels and ``masks`` f32/u8 [N,h,w]. Panoptic:
    ``segment_map`` i32 [h,w] of the segments' indices, -1 for none; ``segment_labels`` i32 and ``segment_scores`` f32
    [S] of each.
    """
    find = next(way for name, way in _WAYS.items() if name in outputs)
    found = list(find(outputs, geometry, card, settings, parameters))
    image: ImageSize = {"width": geometry.image_width, "height": geometry.image_height}
    wish = MaskWish(parameters.mask_format, parameters.mask_tolerance, parameters.mask_crop, parameters.max_bytes)
    encoded = encode_masks([one.cutout for one in found], image, wish)
    segments = [_segment(one, card) for one in found]
    for segment, mask in zip(segments, encoded.masks, strict=False):
        segment["mask"] = mask
    result: SegmentResult = {"image": image, "segments": segments}
    if encoded.palette is not None:
        result["palette"] = encoded.palette
    return result


def _instances(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> Iterator[_Found]:
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    slots = select(outputs, threshold, label_indices(card, parameters.labels), _MAX_SEGMENTS).tolist()
    # A value of 0 is never inside.
    least = max(settings.mask_threshold, 1e-9)
    masks = outputs["masks"]
    projection = geometry.projection(*masks.shape[1:])
    for slot in slots:
        mask = finite("masks", masks[slot])
        cutout = _cutout(mask, least, projection, geometry)
        if cutout is not None:
            yield _Found(int(outputs["labels"][slot]), score_of(outputs["scores"][slot]), cutout)


def _cutout(mask: npt.NDArray[Any], threshold: float, projection: Projection, geometry: Geometry) -> Cutout | None:
    """What reaches the threshold of a mask [h, w] in the image, which is worked out only near where the mask does."""
    # No pixel is larger than the values around it, but for rounding.
    window = _window(mask >= threshold * _ROUNDING, projection)
    if window is None:
        return None
    inside = projection.linear(mask, window) >= threshold
    return _placed(inside, window, geometry)


def _semantic(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> Iterator[_Found]:
    wanted = label_indices(card, parameters.labels)
    classes = outputs["class_map"]
    present = [
        label
        for label in np.unique(classes).tolist()
        if label not in (-1, settings.background) and (wanted is None or label in wanted)
    ]
    found = [(label, cutout) for label, cutout in _equal(classes, present, geometry) if cutout is not None]
    found.sort(key=lambda one: -one[1].area)
    for label, cutout in found[:MAX_PALETTE]:
        yield _Found(label, None, cutout)


def _panoptic(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> Iterator[_Found]:
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    scores, labels = finite("segment_scores", outputs["segment_scores"]), outputs["segment_labels"]
    wanted = label_indices(card, parameters.labels)
    slots = select({"scores": scores, "labels": labels}, threshold, wanted, _MAX_SEGMENTS)
    for slot, cutout in _equal(outputs["segment_map"], slots.tolist(), geometry):
        if cutout is not None:
            yield _Found(int(labels[slot]), score_of(scores[slot]), cutout)


def _equal(indices: npt.NDArray[Any], wanted: list[int], geometry: Geometry) -> Iterator[tuple[int, Cutout | None]]:
    """Of a map [h, w] of whole numbers: each wanted one, and the pixels of the image that have it."""
    projection = geometry.projection(*indices.shape)
    for index in wanted:
        same = indices == index
        window = _window(same, projection)
        yield index, None if window is None else _placed(projection.nearest(same, window), window, geometry)


def _window(support: BoolMask, projection: Projection) -> Window | None:
    """The part of the image that the values bool [h, w] of a map have a part in; None where there is none."""
    x, y, width, height = cv2.boundingRect(support.view(np.uint8))
    if not width:
        return None
    window = projection.reached(slice(y, y + height), slice(x, x + width))
    return None if window.empty else window


def _placed(inside: BoolMask, window: Window, geometry: Geometry) -> Cutout | None:
    image: ImageSize = {"width": geometry.image_width, "height": geometry.image_height}
    return Cutout.of(inside, window.columns.start, window.rows.start, image)


_WAYS = {"class_map": _semantic, "segment_map": _panoptic, "masks": _instances}
"""The output that tells what kind of model it is, and the way from its outputs to segments."""


def _segment(found: _Found, card: ModelCard) -> Segment:
    x1, y1, x2, y2 = map(float, found.cutout.box)
    segment: Segment = {
        "label": label_of(card, found.label),
        "index": found.label,
        "area": found.cutout.area,
        "box": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
    }
    if found.score is not None:
        segment["score"] = found.score
    return segment


SEGMENT = TaskDefinition(
    task=Task.SEGMENT,
    summary="Segment images",
    parameters=SegmentParameters,
    settings=SegmentSettings,
    result=SegmentResult,
    output_sets=(
        frozenset({"class_map"}),
        frozenset({"boxes", "scores", "labels", "masks"}),
        frozenset({"segment_map", "segment_labels", "segment_scores"}),
    ),
    postprocess=postprocess,
    dense=True,
)
