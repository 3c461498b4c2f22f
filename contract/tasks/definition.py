"""The form that every task takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Floats, Geometry
from contract.task import Task

Outputs = Mapping[str, npt.NDArray[Any]]
"""The output tensors of one image, by name, without the batch axis."""

Binary = Annotated[bytes, WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
"""Bytes of a result: gRPC carries them as they are, JSON in base64."""


class UnusableOutput(ValueError):
    """A model's output that no answer can be made of, e.g. NaN."""


class InvalidParameter(ValueError):
    """A parameter that is well-formed but makes no sense for this model, e.g. a label that it does not know."""


class Parameters(BaseModel):
    """What a caller may ask of a task; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def for_picture(self) -> dict[str, Any]:
        """The parameters to change where the answer is only drawn, so that it is made and read in the least time."""
        return {}


class Settings(BaseModel):
    """What a card may set for a task; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSize(TypedDict):
    """Size in pixels of the image as sent, after EXIF rotation."""

    width: int
    height: int


class Box(TypedDict):
    """A box in pixels of the image as sent."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True)
class TaskDefinition:
    """A task: its types, the tensors that a model of it puts out, and the way from those to the answer.

    ``postprocess(outputs, geometry, card, settings, parameters)`` gives the answer for one image as a plain dict of
    the type ``result``; it raises InvalidParameter or UnusableOutput.
    """

    task: Task
    summary: str
    """What a model of it does, in a few words, as the API's table of contents has it."""
    parameters: type[Parameters]
    settings: type[Settings]
    result: Any
    output_sets: tuple[frozenset[str], ...]
    """The sets of output names that a model of this task may have."""
    postprocess: Callable[[Outputs, Geometry, ModelCard, Any, Any], Any]
    clips: bool = False
    """A model of it takes clips [T, H, W, 3]; of all other tasks, images."""
    dense: bool = False
    """The postprocess works on maps: it takes milliseconds, and belongs in a worker thread."""


def _split_labels(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


LabelFilter = Annotated[
    tuple[str, ...] | None,
    BeforeValidator(_split_labels),
    Field(description="Only these labels, separated by commas."),
]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def label_of(card: ModelCard, index: int) -> str:
    """The label of a class; its number where the card has no labels."""
    return card.labels[index] if 0 <= index < len(card.labels) else str(index)


def label_indices(card: ModelCard, labels: tuple[str, ...] | None) -> frozenset[int] | None:
    """Class numbers of the labels that a caller wants, or None for all; InvalidParameter for an unknown one."""
    if labels is None:
        return None
    if unknown := [label for label in labels if label not in card.labels]:
        raise InvalidParameter(f"{card.name} does not know the label {unknown[0]!r}; its labels are in its model card")
    # A label may name several classes: ImageNet has two cranes, the bird and the machine.
    return frozenset(index for index, label in enumerate(card.labels) if label in labels)


_LARGEST = 1e34
"""No model means a larger number, and what is done with smaller ones stays within float32."""


def finite(name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values, unless one is NaN, infinite, or so large that nothing can be made of it."""
    # NaN is neither smaller nor larger.
    if not (values.min(initial=0) > -_LARGEST and values.max(initial=0) < _LARGEST):
        raise UnusableOutput(f"the model put out values in {name} that are not numbers, or beyond all measure")
    return values


def box_of(corners: Floats) -> Box:
    """A box f32 [4] as the answer shows it, to a hundredth of a pixel."""
    x1, y1, x2, y2 = (round(float(corner), 2) for corner in corners)
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2}


def boxes_of(corners: Floats) -> list[Box]:
    """Boxes f32 [N, 4] as the answer shows them, to a hundredth of a pixel."""
    rounded = corners.astype(np.float64).round(2).tolist()
    return [{"x1": x1, "y1": y1, "x2": x2, "y2": y2} for x1, y1, x2, y2 in rounded]


def scores_of(values: Floats) -> list[float]:
    """Scores f32 [N] as the answer shows them, to a millionth."""
    scores: list[float] = values.astype(np.float64).round(6).tolist()
    return scores


def score_of(value: float) -> float:
    """A score as the answer shows it, to a millionth."""
    return round(float(value), 6)
