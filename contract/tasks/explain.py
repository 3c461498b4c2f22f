"""Explain: which part of the image speaks for a class? Asked of a model for classify that was built to tell."""

from typing import Annotated, Any, NotRequired

import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Floats, Geometry
from contract.task import Task
from contract.tasks.classify import EXPLAINED, HEAT, ClassifySettings, ClassScore, ExplanationMethod
from contract.tasks.definition import (
    ImageSize,
    InvalidParameter,
    Outputs,
    TaskDefinition,
    UnusableOutput,
    finite,
    label_of,
    score_of,
)
from contract.tasks.maps import DenseMap, MapParameters, encode_map

_SHOWN = 64
"""Letters of a caller's own words that a message repeats."""

_LEAST_SPAN = 1e-6
"""Between a map's lowest value and its highest, as a share of the highest."""

_Index = Annotated[int, Field(strict=True, ge=0)]


class ExplainParameters(MapParameters):
    """What a caller may ask."""

    class_: _Index | str | None = Field(
        default=None,
        alias="class",
        description="A class by its number or its label, among the most probable few. Default: the most probable.",
    )


ExplainResult = TypedDict(
    "ExplainResult",
    {
        "image": ImageSize,
        "class": ClassScore,
        "method": NotRequired[ExplanationMethod],
        "map": DenseMap,
    },
)
"""The class, and how much each pixel of the image as sent speaks for it, from 0 to 1: where there is any difference,
the least is 0 and the most is 1. It is 0 outside of what the network saw, and where pixels speak against the class."""


def can_explain(card: ModelCard) -> bool:
    """Whether a model answers this task."""
    return card.task is Task.CLASSIFY and HEAT in {output.name for output in card.outputs}


def aligned(expected: Outputs, actual: Outputs, tolerance: float) -> Outputs:
    """One image's outputs with its explained classes in the order of another run's, to compare the two.

    Nearly equal probabilities may come in either order, and either of two may be left out. A class that only one
    explains, where its probability is that of the one in its place to within ``tolerance`` of the highest, has
    nothing to be compared with, and is taken over as expected. Outputs without heat are given back as they are.
    """
    if EXPLAINED not in expected or EXPLAINED not in actual:
        return actual
    wanted, given, scores = expected[EXPLAINED], actual[EXPLAINED], expected["probabilities"]
    if wanted.shape != given.shape or expected[HEAT].shape != actual[HEAT].shape or _outside(given, len(scores)):
        return actual
    # What stands in a place must be as probable as what is expected there, whichever class it is.
    if (np.abs(scores[given] - scores[wanted]) > tolerance * scores.max()).any():
        return actual
    places = {int(index): place for place, index in enumerate(given)}
    heat = expected[HEAT].copy()
    for slot, index in enumerate(wanted.tolist()):
        if index in places:
            heat[slot] = actual[HEAT][places[index]]
    return {**actual, EXPLAINED: wanted, HEAT: heat}


def _outside(indices: npt.NDArray[Any], classes: int) -> bool:
    return bool(((indices < 0) | (indices >= classes)).any())


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: ClassifySettings, parameters: ExplainParameters
) -> ExplainResult:
    """Probabilities f32 [C], ``explained`` i32 [K] and ``heat`` f32 [K,h,w] → the map of one class, 8-bit in a PNG."""
    probabilities, explained = finite("probabilities", outputs["probabilities"]), outputs[EXPLAINED].tolist()
    if _outside(outputs[EXPLAINED], len(probabilities)):
        raise UnusableOutput(f"the model put out values in {EXPLAINED} that are no classes")
    slot = _slot(parameters.class_, explained, card, len(probabilities))
    heat = finite(HEAT, outputs[HEAT][slot]).astype(np.float32, copy=False)
    values = geometry.map_to_image(_stretched(heat.clip(min=0)))
    # The highest value may lie in the padding or between two pixels.
    values[geometry.seen] = _stretched(values[geometry.seen])
    index = explained[slot]
    result: ExplainResult = {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "class": {"label": label_of(card, index), "index": index, "score": score_of(probabilities[index])},
        "map": encode_map(values, 0.0, 1.0, parameters.encoding, bits=8),
    }
    if settings.explanation is not None:
        result["method"] = settings.explanation
    return result


def _slot(wanted: int | str | None, explained: list[int], card: ModelCard, classes: int) -> int:
    """The place of a class among those that are explained; of several with one label, the most probable's."""
    if wanted is None:
        return 0
    indices = _indices(wanted, card, classes)
    for slot, index in enumerate(explained):
        if index in indices:
            return slot
    known = ", ".join(f"{label_of(card, index)} ({index})" for index in explained)
    raise InvalidParameter(
        f"class {str(wanted)[:_SHOWN]!r} is not among those that are explained for this image: {known}"
    )


def _indices(wanted: int | str, card: ModelCard, classes: int) -> frozenset[int]:
    """The classes that a caller means; a label may name several, and a number is a label before it is an index."""
    if labelled := frozenset(index for index, label in enumerate(card.labels) if label == wanted):
        return labelled
    if isinstance(wanted, str) and not (wanted.isascii() and wanted.isdecimal()):
        raise InvalidParameter(
            f"{card.name} does not know the label {wanted[:_SHOWN]!r}; its labels are in its model card"
        )
    if len(str(wanted)) > len(str(classes)) or int(wanted) >= classes:
        raise InvalidParameter(f"{card.name} has no class {str(wanted)[:_SHOWN]}; it has 0 to {classes - 1}")
    return frozenset({int(wanted)})


def _stretched(heat: Floats) -> Floats:
    """Heat f32 [h,w], not negative, with its lowest value at 0 and its highest at 1; a plain map is 0."""
    low, high = heat.min(), heat.max()
    # What differs by no more than rounding shows nothing.
    if not high - low > _LEAST_SPAN * high:
        return np.zeros_like(heat)
    return np.asarray((heat - low) / (high - low), np.float32)


EXPLAIN = TaskDefinition(
    task=Task.EXPLAIN,
    summary="Show which part of an image speaks for a class",
    parameters=ExplainParameters,
    settings=ClassifySettings,
    result=ExplainResult,
    # No model has these outputs alone: a model for classify has probabilities besides; see `can_explain`.
    output_sets=(),
    postprocess=postprocess,
    dense=True,
)
