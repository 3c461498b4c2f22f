"""Detect: what is where, as labelled boxes."""

from typing import NotRequired

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
    boxes_of,
    finite,
    label_indices,
    label_of,
    scores_of,
)


class DetectParameters(Parameters):
    """What a caller may ask."""

    score_threshold: Probability | None = Field(default=None, description="Default: the model card's.")
    max_objects: int = Field(default=100, ge=1, le=10_000, description="At most this many objects, best first.")
    labels: LabelFilter = None


class DetectSettings(Settings):
    """What a card may set."""

    score_threshold: Probability = 0.3


class DetectedObject(TypedDict):
    """One object."""

    label: str
    index: int
    score: float
    box: Box
    track_id: NotRequired[int]


class DetectResult(TypedDict):
    """The objects, best first."""

    image: ImageSize
    objects: list[DetectedObject]


def select(
    outputs: Outputs,
    threshold: float,
    wanted: frozenset[int] | None,
    limit: int,
) -> np.ndarray:
    """Slots i64 [K] to answer with, best first: score above 0 and at least ``threshold``, label wanted.

    Slots with score 0 are empty by contract and never chosen, even at threshold 0.
    """
    scores = finite("scores", outputs["scores"])
    keep = (scores >= threshold) & (scores > 0)
    if wanted is not None:
        keep &= np.isin(outputs["labels"], list(wanted))
    slots = np.flatnonzero(keep)
    return slots[np.argsort(-scores[slots], kind="stable")][:limit]


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: DetectSettings, parameters: DetectParameters
) -> DetectResult:
    """Boxes f32 [N,4] (xyxy, 0…1 of the input), scores f32 [N], labels i32 [N] → objects in image pixels."""
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    slots = select(outputs, threshold, label_indices(card, parameters.labels), parameters.max_objects)
    boxes = boxes_of(geometry.boxes_to_image(finite("boxes", outputs["boxes"][slots])))
    scores, labels = scores_of(outputs["scores"][slots]), outputs["labels"][slots].tolist()
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "objects": [
            {"label": label_of(card, label), "index": label, "score": score, "box": box}
            for label, score, box in zip(labels, scores, boxes, strict=True)
        ],
    }


DETECT = TaskDefinition(
    task=Task.DETECT,
    summary="Detect objects",
    parameters=DetectParameters,
    settings=DetectSettings,
    result=DetectResult,
    output_sets=(frozenset({"boxes", "scores", "labels"}),),
    postprocess=postprocess,
)
