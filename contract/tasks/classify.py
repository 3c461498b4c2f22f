"""Classify: which of the known classes does the image show?"""

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry
from contract.task import Task
from contract.tasks.definition import (
    ImageSize,
    Outputs,
    Parameters,
    Probability,
    Settings,
    TaskDefinition,
    finite,
    label_of,
    score_of,
)


class ClassifyParameters(Parameters):
    """What a caller may ask."""

    top_k: int = Field(default=5, ge=1, le=10_000, description="At most this many classes.")
    score_threshold: Probability = Field(default=0.0, description="Only classes at least this probable.")


class ClassifySettings(Settings):
    """What a card may set."""

    multi_label: bool = False
    """Each class has a probability of its own (a sigmoid's): any number may apply, and their sum is not 1."""


class ClassScore(TypedDict):
    """A class and its probability."""

    label: str
    index: int
    score: float


class ClassifyResult(TypedDict):
    """The most probable classes, best first."""

    image: ImageSize
    classes: list[ClassScore]


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: ClassifySettings, parameters: ClassifyParameters
) -> ClassifyResult:
    """Probabilities f32 [C] → the best ``top_k``."""
    probabilities = finite("probabilities", outputs["probabilities"])
    count = min(parameters.top_k, len(probabilities))
    # Equal classes come in the order of their numbers, also where only some of them find a place.
    least = np.partition(probabilities, -count)[-count]
    candidates = np.flatnonzero(probabilities >= least)
    best = candidates[np.argsort(-probabilities[candidates], kind="stable")][:count]
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "classes": [
            {"label": label_of(card, index), "index": index, "score": score_of(probabilities[index])}
            for index in best.tolist()
            if probabilities[index] >= parameters.score_threshold
        ],
    }


CLASSIFY = TaskDefinition(
    task=Task.CLASSIFY,
    summary="Classify images",
    parameters=ClassifyParameters,
    settings=ClassifySettings,
    result=ClassifyResult,
    output_sets=(frozenset({"probabilities"}),),
    postprocess=postprocess,
)
