"""Matte: how much of each pixel belongs to the foreground?"""

from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry
from contract.task import Task
from contract.tasks.definition import ImageSize, Outputs, Settings, TaskDefinition, finite
from contract.tasks.maps import DenseMap, MapParameters, encode_map


class MatteSettings(Settings):
    """Nothing can be set."""


class MatteResult(TypedDict):
    """The share of the foreground in every pixel of the image as sent, 0…1; 0 where the network did not look."""

    image: ImageSize
    map: DenseMap


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: MatteSettings, parameters: MapParameters
) -> MatteResult:
    """Alpha f32 [h, w] (0…1) over the input → a map of the image, 8-bit where it is a PNG: an alpha channel."""
    alpha = finite("alpha", outputs["alpha"]).astype("float32", copy=False)
    mapped = geometry.map_to_image(alpha.clip(0, 1))
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "map": encode_map(mapped, 0.0, 1.0, parameters.encoding, bits=8),
    }


MATTE = TaskDefinition(
    task=Task.MATTE,
    summary="Separate the foreground, hair by hair",
    parameters=MapParameters,
    settings=MatteSettings,
    result=MatteResult,
    output_sets=(frozenset({"alpha"}),),
    postprocess=postprocess,
    dense=True,
)
