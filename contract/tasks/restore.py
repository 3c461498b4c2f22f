"""Restore: the image again, larger, sharper or cleaner."""

from typing_extensions import TypedDict

from contract.card import ModelCard
from contract.preprocess import Geometry, Interpolation, Pixels, resample
from contract.task import Task
from contract.tasks.definition import ImageSize, InvalidParameter, Outputs, Settings, TaskDefinition
from contract.tasks.maps import DenseMap, MapParameters, encode_pixels

_MAX_PIXELS = 50_000_000
"""Of an answer: as many as of an image that is read."""


class RestoreSettings(Settings):
    """Nothing can be set."""


class RestoreResult(TypedDict):
    """The restored picture: what the network saw of the image as sent, enlarged by the network's own factor.

    An image larger than the network's input was shrunk before and is enlarged again after: it loses detail.
    """

    image: ImageSize
    map: DenseMap


def postprocess(
    outputs: Outputs, geometry: Geometry, card: ModelCard, settings: RestoreSettings, parameters: MapParameters
) -> RestoreResult:
    """Images u8 [s·height, s·width, 3] → the restored picture, s times the size of the image as sent."""
    (restored,) = outputs.values()
    return {
        "image": {"width": geometry.image_width, "height": geometry.image_height},
        "map": encode_pixels(_undo(restored, geometry), parameters.encoding),
    }


def _undo(restored: Pixels, geometry: Geometry) -> Pixels:
    """Cut the padding off, and undo the resize; InvalidParameter for an image whose answer would be too large."""
    height, width = restored.shape[:2]
    rows, columns = geometry.seen
    factor_x, factor_y = width / geometry.input_width, height / geometry.input_height
    target_width = max(1, round((columns.stop - columns.start) * factor_x))
    target_height = max(1, round((rows.stop - rows.start) * factor_y))
    if target_width * target_height > _MAX_PIXELS:
        raise InvalidParameter(
            f"the restored image would have {target_width} x {target_height} pixels; "
            f"at most {_MAX_PIXELS:,} are answered"
        )
    left, part_width = _span(columns, geometry.scale_x * factor_x, geometry.offset_x * factor_x, width)
    top, part_height = _span(rows, geometry.scale_y * factor_y, geometry.offset_y * factor_y, height)
    part = (left, top, part_width, part_height)
    return resample(restored, part, target_width, target_height, Interpolation.BICUBIC)


def _span(seen: slice, scale: float, offset: float, length: int) -> tuple[float, float]:
    """On one axis, where in the restored picture the seen part of the image begins, and how long it is."""
    low, high = max(0.0, seen.start * scale + offset), min(float(length), seen.stop * scale + offset)
    # A crop that lies within a single pixel of the image is that pixel.
    return (low, high - low) if high > low else (0.0, float(length))


RESTORE = TaskDefinition(
    task=Task.RESTORE,
    summary="Restore or enlarge images",
    parameters=MapParameters,
    settings=RestoreSettings,
    result=RestoreResult,
    # In an ONNX graph no output may be called as an input is, so a graph that takes "images" gives "restored".
    output_sets=(frozenset({"images"}), frozenset({"restored"})),
    postprocess=postprocess,
    dense=True,
)
