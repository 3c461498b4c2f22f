"""Segment: which pixels belong to what; by class (semantic), by object (instance), or by both (panoptic)."""

from collections.abc import Iterator
from typing import NotRequired

import cv2
import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry
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
    box_of,
    finite,
    label_indices,
    label_of,
    score_of,
)
from contract.tasks.detect import select
from contract.tasks.masks import BoolMask, Mask, MaskFormat, encode_mask

_MAX_SEGMENTS = 100


class SegmentParameters(Parameters):
    """What a caller may ask."""

    score_threshold: Probability | None = Field(
        default=None, description="Default: the model card's. Semantic segments have no score."
    )
    mask_format: MaskFormat = MaskFormat.RLE
    labels: LabelFilter = None


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


class SegmentResult(TypedDict):
    """The segments: those with scores best first, classes largest first. One without a single pixel is left out."""

    image: ImageSize
    segments: list[Segment]


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> SegmentResult:
    """The tensors of a semantic, instance or panoptic model → segments in image pixels.

    Semantic: ``class_map`` u8/i16 [h,w]. Instance: boxes, scores, labels and ``masks`` f32/u8 [N,h,w]. Panoptic:
    ``segment_map`` i32 [h,w] of the segments' indices, -1 for none; ``segment_labels`` i32 and ``segment_scores`` f32
    [S] of each.
    """
    found = next(way for name, way in _WAYS.items() if name in outputs)
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "segments": list(found(outputs, geometry, card, settings, parameters)),
    }


def _instances(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> Iterator[Segment]:
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    for slot in select(outputs, threshold, label_indices(card, parameters.labels), _MAX_SEGMENTS):
        dense = finite("masks", outputs["masks"][slot]).astype(np.float32, copy=False)
        # What the network did not see is 0, and never inside.
        mask = geometry.map_to_image(dense) >= max(settings.mask_threshold, 1e-9)
        label = int(outputs["labels"][slot])
        if segment := _segment(mask, label, card, parameters.mask_format):
            segment["score"] = score_of(outputs["scores"][slot])
            yield segment


def _semantic(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> Iterator[Segment]:
    wanted = label_indices(card, parameters.labels)
    classes = _indices_in_image(outputs["class_map"], geometry)
    present, counts = np.unique(classes, return_counts=True)
    for label in present[np.argsort(-counts, kind="stable")].tolist():
        if label in (-1, settings.background) or (wanted is not None and label not in wanted):
            continue
        if segment := _segment(classes == label, label, card, parameters.mask_format):
            yield segment


def _panoptic(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: SegmentSettings, parameters: SegmentParameters
) -> Iterator[Segment]:
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    scores, labels = finite("segment_scores", outputs["segment_scores"]), outputs["segment_labels"]
    wanted = label_indices(card, parameters.labels)
    slots = select({"scores": scores, "labels": labels}, threshold, wanted, _MAX_SEGMENTS)
    indices = _indices_in_image(outputs["segment_map"], geometry)
    for slot in slots.tolist():
        if segment := _segment(indices == slot, int(labels[slot]), card, parameters.mask_format):
            segment["score"] = score_of(scores[slot])
            yield segment


def _indices_in_image(indices: np.ndarray, geometry: Geometry) -> np.ndarray:
    """A map [h,w] of whole numbers from -1, as i32 [image_height, image_width]; -1 where the network did not look."""
    # One is added so that 0 can stand for what the network did not see.
    return geometry.map_to_image(indices.astype(np.float32) + 1, cv2.INTER_NEAREST).astype(np.int32) - 1


_WAYS = {"class_map": _semantic, "segment_map": _panoptic, "masks": _instances}
"""The output that tells what kind of model it is, and the way from its outputs to segments."""


def _segment(mask: BoolMask, label: int, card: ModelCard, form: MaskFormat) -> Segment | None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    corners = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)
    segment: Segment = {
        "label": label_of(card, label),
        "index": label,
        "area": int(np.count_nonzero(mask)),
        "box": box_of(corners),
    }
    if encoded := encode_mask(mask, form):
        segment["mask"] = encoded
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
