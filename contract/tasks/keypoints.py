"""Keypoints: where are the joints of each person, or the marks of each face?"""

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Floats, Geometry
from contract.task import Task
from contract.tasks.definition import (
    Box,
    ImageSize,
    Outputs,
    Parameters,
    Probability,
    Settings,
    TaskDefinition,
    box_of,
    finite,
    score_of,
)
from contract.tasks.detect import select


class KeypointsParameters(Parameters):
    """What a caller may ask."""

    score_threshold: Probability | None = Field(default=None, description="Default: the model card's.")
    max_people: int = Field(default=100, ge=1, le=10_000, description="At most this many people, best first.")


class KeypointsSettings(Settings):
    """What a card may set."""

    names: tuple[str, ...] = ()
    """Names of the key points in the tensor's order; one without a name goes by its number."""
    score_threshold: Probability = 0.3
    """A person is answered from this score on."""
    keypoint_threshold: Probability = 0.3
    """Where the model puts out no boxes, a person's box is that of the key points that score at least this. All are
    answered, whatever they score."""


class Keypoint(TypedDict):
    """One key point in pixels of the image as sent."""

    name: str
    x: float
    y: float
    score: float


class Person(TypedDict):
    """One person; the key points in the order of their names."""

    score: float
    box: Box
    keypoints: list[Keypoint]


class KeypointsResult(TypedDict):
    """The people, best first."""

    image: ImageSize
    people: list[Person]


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: KeypointsSettings, parameters: KeypointsParameters
) -> KeypointsResult:
    """Keypoints f32 [N,K,3] (x and y in 0…1 of the input, score), scores f32 [N], perhaps boxes → people."""
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    slots = select(outputs, threshold, None, parameters.max_people)
    found = finite("keypoints", outputs["keypoints"][slots])
    size = np.array([geometry.input_width, geometry.input_height], np.float32)
    points = np.concatenate([geometry.to_image(found[:, :, :2] * size), found[:, :, 2:]], axis=2)
    if "boxes" in outputs:
        boxes = geometry.boxes_to_image(finite("boxes", outputs["boxes"][slots]))
    else:
        boxes = np.array([_box_around(person, settings.keypoint_threshold) for person in points], np.float32)
    scores = outputs["scores"][slots].tolist()
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "people": [
            {"score": score_of(score), "box": box_of(box), "keypoints": _keypoints(person, settings.names)}
            for score, box, person in zip(scores, boxes, points, strict=True)
        ],
    }


def _box_around(person: Floats, threshold: float) -> Floats:
    """The box f32 [4] of the key points f32 [K, 3] that reach the threshold; of all where none does."""
    sure = person[:, 2] >= threshold
    points = person[sure, :2] if sure.any() else person[:, :2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _keypoints(person: Floats, names: tuple[str, ...]) -> list[Keypoint]:
    return [
        {
            "name": names[index] if index < len(names) else str(index),
            "x": round(x, 2),
            "y": round(y, 2),
            "score": score_of(score),
        }
        for index, (x, y, score) in enumerate(person.tolist())
    ]


KEYPOINTS = TaskDefinition(
    task=Task.KEYPOINTS,
    summary="Find people's joints",
    parameters=KeypointsParameters,
    settings=KeypointsSettings,
    result=KeypointsResult,
    output_sets=(frozenset({"keypoints", "scores"}), frozenset({"keypoints", "scores", "boxes"})),
    postprocess=postprocess,
)
