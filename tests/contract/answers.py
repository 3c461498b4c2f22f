"""A task's answer to one image, and the ways in which images become inputs."""

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from contract.card import ModelCard
from contract.preprocess import Geometry, PadAnchor, Resize
from contract.tasks.definition import ImageSize, TaskDefinition
from contract.tasks.mask_choice import MaskWish, encode_masks
from contract.tasks.masks import BoolMask, Cutout, MaskFormat
from tests.cards import a_card, a_spec

WIDE = a_spec(height=100, width=100)
MODES = {
    "stretch": WIDE,
    "centre crop": a_spec(height=100, width=100, resize=Resize.SHORTEST_EDGE, shortest_edge=120),
    "letterbox": a_spec(height=100, width=100, resize=Resize.LETTERBOX),
    "letterbox, top left": a_spec(height=100, width=100, resize=Resize.LETTERBOX, pad_anchor=PadAnchor.TOP_LEFT),
}


def answer(
    definition: TaskDefinition,
    outputs: dict[str, Any],
    geometry: Geometry | None = None,
    card: ModelCard | None = None,
    setting: dict[str, Any] | None = None,
    **parameters: Any,
) -> Any:
    """The answer to one image, of 100 x 100 pixels if no geometry is given; it is held against the result's schema."""
    result = definition.postprocess(
        {name: np.asarray(value) for name, value in outputs.items()},
        geometry or Geometry.of(100, 100, WIDE),
        card or a_card(task=definition.task),
        definition.settings.model_validate(setting or {}),
        definition.parameters.model_validate(parameters),
    )
    TypeAdapter(definition.result).validate_python(result, strict=True)
    return result


def size_of(mask: BoolMask) -> ImageSize:
    """The size of an image that a mask bool [H, W] is of."""
    return {"width": mask.shape[1], "height": mask.shape[0]}


def mask_as(form: MaskFormat, mask: BoolMask, **wish: Any) -> Any:
    """A mask bool [H, W] in one of the forms that each mask has for itself."""
    cutout = Cutout.of(mask, 0, 0, size_of(mask)) or Cutout(mask, 0, 0, size_of(mask))
    return encode_masks([cutout], size_of(mask), MaskWish(form, **wish)).masks[0]
