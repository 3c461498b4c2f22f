"""Regions: a dense probability map as polygons; lines of text, roads, fields.

The way from map to polygon is that of differentiable binarisation (Liao et al., "Real-time Scene Text Detection with
Differentiable Binarization", AAAI 2020, section 3.5): threshold, outline, score by the mean probability inside,
and enlarge by ``area * unclip_ratio / perimeter``.
"""

from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt
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
    box_of,
    finite,
    score_of,
)


class Shape(StrEnum):
    """The form of a region."""

    QUAD = "quad"
    """The smallest rectangle at any angle: text."""
    POLYGON = "polygon"
    """The simplified outline: roads, fields."""


class RegionsParameters(Parameters):
    """What a caller may ask."""

    score_threshold: Probability | None = Field(default=None, description="Default: the model card's.")
    max_regions: int = Field(default=1000, ge=1, le=10_000, description="At most this many regions, best first.")


class RegionsSettings(Settings):
    """What a card may set."""

    binary_threshold: Probability = 0.3
    """A pixel belongs to a region from this probability on."""
    score_threshold: Probability = 0.5
    """A region is answered from this mean probability on."""
    shape: Shape = Shape.QUAD
    unclip_ratio: float = Field(default=1.6, ge=0, le=10)
    """How far a shrunken text kernel is grown back; only for quads."""
    min_side: float = Field(default=3, ge=0)
    """Smaller regions, in pixels of the map, are noise."""


class Region(TypedDict):
    """One region; ``polygon`` is a list of [x, y] in image pixels, ``box`` the upright box around it."""

    score: float
    polygon: list[list[float]]
    box: Box


class RegionsResult(TypedDict):
    """The regions, best first."""

    image: ImageSize
    regions: list[Region]


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: RegionsSettings, parameters: RegionsParameters
) -> RegionsResult:
    """Probability f32 [h, w] over the input → regions in image pixels."""
    probability = finite("probability", outputs["probability"])
    threshold = settings.score_threshold if parameters.score_threshold is None else parameters.score_threshold
    binary = (probability >= settings.binary_threshold).view(np.uint8)
    contours = _outer_contours(binary)
    to_input = np.array(
        [geometry.input_width / probability.shape[1], geometry.input_height / probability.shape[0]], np.float32
    )
    regions: list[Region] = []
    for points in contours:
        contour = points[:, 0]
        if (outline := _outline(contour, settings)) is None:
            continue
        if (score := _mean_inside(probability, contour)) < threshold:
            continue
        # A contour runs through pixels' centres; half a pixel more makes it a place in the map.
        polygon = geometry.to_image((outline + 0.5) * to_input)
        corners = np.concatenate([polygon.min(axis=0), polygon.max(axis=0)])
        if (corners[2:] > corners[:2]).all():
            rounded = [[round(x, 2), round(y, 2)] for x, y in polygon.tolist()]
            regions.append({"score": score_of(score), "polygon": rounded, "box": box_of(corners)})
    regions.sort(key=lambda region: -region["score"])
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "regions": regions[: parameters.max_regions],
    }


def _outer_contours(binary: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.int32]]:
    """Contours i32 [K, 1, 2] of connected regions; those of their holes, which are no regions, are left out."""
    contours, hierarchy = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = hierarchy.reshape(-1, 4)[:, 3] if len(contours) else ()
    return [
        contour.astype(np.int32, copy=False) for contour, parent in zip(contours, parents, strict=True) if parent < 0
    ]


def _outline(contour: npt.NDArray[np.int32], settings: RegionsSettings) -> Floats | None:
    """Points f32 [K, 2] of the region in map pixels, or None for a speck."""
    centre, (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < settings.min_side:
        return None
    if settings.shape is Shape.POLYGON:
        outline = cv2.approxPolyDP(contour, 1.0, closed=True)[:, 0].astype(np.float32)
        return outline if len(outline) >= 3 else None
    if not width + height:
        return None
    grown = width * height * settings.unclip_ratio / (2 * (width + height))
    corners = cv2.boxPoints((centre, (width + 2 * grown, height + 2 * grown), angle))
    return _clockwise_from_top_left(corners.astype(np.float32))


def _mean_inside(probability: Floats, contour: npt.NDArray[np.int32]) -> float:
    left, top, width, height = cv2.boundingRect(contour)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [contour - (left, top)], (1,))
    return float(cv2.mean(probability[top : top + height, left : left + width], mask=inside)[0])


def _clockwise_from_top_left(corners: Floats) -> Floats:
    """The four corners in reading order: the one nearest to the top left first."""
    return np.roll(corners, -int(corners.sum(axis=1).argmin()), axis=0)


REGIONS = TaskDefinition(
    task=Task.REGIONS,
    summary="Find regions",
    parameters=RegionsParameters,
    settings=RegionsSettings,
    result=RegionsResult,
    output_sets=(frozenset({"probability"}),),
    postprocess=postprocess,
    dense=True,
)
