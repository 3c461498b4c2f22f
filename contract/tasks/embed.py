"""Embed: the image as a vector, for search and comparison."""

from enum import StrEnum

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry
from contract.task import Task
from contract.tasks.definition import Binary, ImageSize, Outputs, Parameters, Settings, TaskDefinition, finite


class Encoding(StrEnum):
    """How the vector travels."""

    JSON = "json"
    BASE64 = "base64"


class EmbedParameters(Parameters):
    """What a caller may ask."""

    normalize: bool = Field(
        default=True, description="Scale the vector to length 1, so that a dot product is the cosine."
    )
    encoding: Encoding = Field(
        default=Encoding.JSON, description="base64: little-endian float32, about a third of the size."
    )


class EmbedSettings(Settings):
    """Nothing can be set."""


class EmbedResult(TypedDict):
    """The vector, as a list of numbers or as the bytes of little-endian float32."""

    image: ImageSize
    embedding: list[float] | Binary
    dimension: int


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: EmbedSettings, parameters: EmbedParameters
) -> EmbedResult:
    """Embedding f32 [D] → the vector as asked; a zero vector stays zero."""
    vector = finite("embedding", outputs["embedding"]).astype("<f4", copy=False)
    # In double precision no square overflows or vanishes.
    if parameters.normalize and (length := float(np.linalg.norm(vector.astype(np.float64)))) > 0:
        vector = (vector.astype(np.float64) / length).astype("<f4")
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "embedding": vector.tolist() if parameters.encoding is Encoding.JSON else vector.tobytes(),
        "dimension": len(vector),
    }


EMBED = TaskDefinition(
    task=Task.EMBED,
    summary="Embed images",
    parameters=EmbedParameters,
    settings=EmbedSettings,
    result=EmbedResult,
    output_sets=(frozenset({"embedding"}),),
    postprocess=postprocess,
)
