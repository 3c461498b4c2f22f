"""Depth: how far away is what each pixel shows?"""

from enum import StrEnum
from typing import NotRequired

from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry
from contract.task import Task
from contract.tasks.definition import ImageSize, Outputs, Settings, TaskDefinition, finite
from contract.tasks.maps import DenseMap, MapParameters, encode_map


class Quantity(StrEnum):
    """What a depth model's numbers mean."""

    METRES = "metres"
    """Distance from the camera."""
    DEPTH = "depth"
    """Larger is farther, up to an unknown scale."""
    INVERSE_DEPTH = "inverse_depth"
    """Larger is nearer, up to an unknown scale and shift."""


class DepthSettings(Settings):
    """What a card may set."""

    quantity: Quantity | None = None
    """What the numbers mean; None where the source does not say."""


class DepthResult(TypedDict):
    """The depth of every pixel of the image as sent; outside of what the network saw it is ``min``."""

    image: ImageSize
    quantity: NotRequired[Quantity]
    map: DenseMap


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: DepthSettings, parameters: MapParameters
) -> DepthResult:
    """Depth f32 [h, w] over the input → a map of the image, 16-bit where it is a PNG."""
    depth = geometry.map_to_image(finite("depth", outputs["depth"]).astype("float32", copy=False))
    seen = depth[geometry.seen]
    low, high = float(seen.min()), float(seen.max())
    result: DepthResult = {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        # What was not seen is 0, which may lie outside the range of what was.
        "map": encode_map(depth.clip(low, high), low, high, parameters.encoding, bits=16),
    }
    if settings.quantity is not None:
        result["quantity"] = settings.quantity
    return result


DEPTH = TaskDefinition(
    task=Task.DEPTH,
    summary="Estimate the depth of every pixel",
    parameters=MapParameters,
    settings=DepthSettings,
    result=DepthResult,
    output_sets=(frozenset({"depth"}),),
    postprocess=postprocess,
    dense=True,
)
