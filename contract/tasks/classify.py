"""Classify: which of the known classes does the image show?"""

from enum import StrEnum

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

EXPLAINED, HEAT = "explained", "heat"
"""Two more outputs of a model that can explain its answers: i32 [K], its most probable classes in order, and f32
[K,h,w], for each of them a map over the network's input whose larger values speak more for the class."""


class ExplanationMethod(StrEnum):
    """How a model's heat maps come about."""

    CAM = "cam"
    """Class activation mapping (Zhou et al., 2016)."""
    GRAD_CAM = "grad-cam"
    """CAM with the class's gradient in place of the last layer's weights (Selvaraju et al., 2017)."""
    LEGRAD = "legrad"
    """The gradient of every layer's attention maps (Bousselham et al., 2024)."""


class ClassifyParameters(Parameters):
    """What a caller may ask."""

    top_k: int = Field(default=5, ge=1, le=10_000, description="At most this many classes.")
    score_threshold: Probability = Field(default=0.0, description="Only classes at least this probable.")


class ClassifySettings(Settings):
    """What a card may set."""

    multi_label: bool = False
    """Each class has a probability of its own (a sigmoid's): any number may apply, and their sum is not 1."""
    explanation: ExplanationMethod | None = None
    """Where the model has heat maps, what kind they are of."""


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
    output_sets=(frozenset({"probabilities"}), frozenset({"probabilities", EXPLAINED, HEAT})),
    postprocess=postprocess,
)
