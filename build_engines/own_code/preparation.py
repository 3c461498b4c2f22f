"""How a user's own code says that its pixels are prepared."""

import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pydantic import ValidationError
from torch import nn

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import Normalisation
from build_engines.messages import Message
from contract.preprocess import Interpolation, PreprocessSpec, Resize

ATTRIBUTE = "VITRAIL"
"""A mapping in the factory's module with any of ``preprocess``, ``normalisation`` and ``labels``."""
_FIELDS = {"preprocess", "normalisation", "labels"}
_OF_TIMM = ("default_cfg", "pretrained_cfg")


def stated(module: ModuleType, network: nn.Module) -> Message:
    """What the module or else the network says, as JSON: any of `_FIELDS`; BuildFailure for what is malformed."""
    own = getattr(module, ATTRIBUTE, None)
    if own is None:
        return _of_timm(network)
    if not isinstance(own, Mapping) or not own.keys() <= _FIELDS:
        raise BuildFailure(
            f"{ATTRIBUTE} must be a mapping with {', '.join(sorted(_FIELDS))}, not {own!r}", "correct it"
        )
    found: Message = {}
    try:
        if "preprocess" in own:
            found["preprocess"] = PreprocessSpec.model_validate(own["preprocess"]).model_dump(mode="json")
        if "normalisation" in own:
            found["normalisation"] = Normalisation.model_validate(own["normalisation"]).model_dump(mode="json")
    except ValidationError as error:
        raise BuildFailure(f"{ATTRIBUTE} does not describe pixels: {error}", "correct it") from error
    if "labels" in own:
        found["labels"] = own["labels"] if isinstance(own["labels"], str) else [str(label) for label in own["labels"]]
    return found


def _of_timm(network: nn.Module) -> Message:
    """From the configuration that networks in timm's manner carry; nothing where it is not what is expected."""
    own = next((getattr(network, name) for name in _OF_TIMM if isinstance(getattr(network, name, None), Mapping)), None)
    if not own:
        return {}
    found: Message = {}
    try:
        if own.get("mean") and own.get("std"):
            normalisation = Normalisation(mean=tuple(own["mean"]), std=tuple(own["std"]))
            found["normalisation"] = normalisation.model_dump(mode="json")
        if own.get("input_size"):
            found["preprocess"] = _spec(own).model_dump(mode="json")
    except (TypeError, ValueError):
        return found
    return found


def _spec(own: Mapping[str, Any]) -> PreprocessSpec:
    _, height, width = own["input_size"]
    interpolation = own.get("interpolation")
    edge = math.floor(min(height, width) / (own.get("crop_pct") or 0.875))
    return PreprocessSpec(
        height=height,
        width=width,
        resize=Resize.SHORTEST_EDGE,
        shortest_edge=max(edge, height, width),
        interpolation=Interpolation(interpolation) if interpolation in set(Interpolation) else Interpolation.BICUBIC,
    )
