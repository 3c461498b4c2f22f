"""Keypoints: where are the joints of each person, or the marks of each face?"""

from typing import NotRequired

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
    boxes_of,
    finite,
    scores_of,
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
    track_id: NotRequired[int]


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
        around = [_box_around(person, settings.keypoint_threshold) for person in points]
        boxes = np.array(around, np.float32).reshape(-1, 4)
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "people": [
            {"score": score, "box": box, "keypoints": person}
            for score, box, person in zip(
                scores_of(outputs["scores"][slots]), boxes_of(boxes), _keypoints(points, settings.names), strict=True
            )
        ],
    }


def _box_around(person: Floats, threshold: float) -> Floats:
    """The box f32 [4] of the key points f32 [K, 3] that reach the threshold; of all where none does."""
    sure = person[:, 2] >= threshold
    points = person[sure, :2] if sure.any() else person[:, :2]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _keypoints(people: Floats, names: tuple[str, ...]) -> list[list[Keypoint]]:
    """The key points of people f32 [N, K, 3]."""
    # To a hundredth of a pixel, and the score to a millionth.
    exact = people.astype(np.float64)
    rounded = np.concatenate([exact[:, :, :2].round(2), exact[:, :, 2:].round(6)], axis=2).tolist()
    known = (*names, *map(str, range(len(names), people.shape[1])))
    return [
        [{"name": name, "x": x, "y": y, "score": score} for name, (x, y, score) in zip(known, person, strict=False)]
        for person in rounded
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
