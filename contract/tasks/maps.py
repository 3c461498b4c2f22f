"""The forms in which a dense map or a picture travels: a PNG, or NumPy's own file format."""

import io
from enum import StrEnum
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict

from contract.preprocess import Floats, Pixels
from contract.tasks.definition import Binary, Parameters

GreyDepth = Literal[8, 16]
"""Bits of a grey picture's pixels."""


class MapEncoding(StrEnum):
    """How a caller wants maps."""

    PNG = "png"
    NPY = "npy"


class MapParameters(Parameters):
    """What a caller may ask of a task that answers with a map."""

    encoding: MapEncoding = Field(
        default=MapEncoding.PNG, description="png: a picture; npy: the numbers themselves, as numpy.save writes them."
    )

    def for_picture(self) -> dict[str, Any]:
        """The numbers themselves need no packing."""
        return {"encoding": MapEncoding.NPY}


_LEAST_SPAN = 1e-30


class DenseMap(TypedDict):
    """A map or a picture as a file.

    In a PNG, black stands for the value ``min`` and white for ``max``, evenly between; in an NPY the values stand
    themselves, and none lies outside ``min`` and ``max``.
    """

    format: Literal["png", "npy"]
    data: Binary
    min: float
    max: float


def encode_map(values: Floats, low: float, high: float, encoding: MapEncoding, bits: GreyDepth) -> DenseMap:
    """A map f32 [H, W] of values in ``low``…``high`` as a grey PNG of so many bits, or as an NPY of float32."""
    if encoding is MapEncoding.NPY:
        return {"format": "npy", "data": _npy(values), "min": low, "max": high}
    white = 2**bits - 1
    # A plain map has no range; it is black. So is one whose range is smaller than what float32 divides by.
    span = high - low if high - low >= _LEAST_SPAN else 1.0
    scaled = (values - np.float32(low)) * np.float32(white / span)
    grey = np.clip(np.rint(scaled), 0, white).astype(np.uint8 if bits == 8 else np.uint16)
    return {"format": "png", "data": _png(grey), "min": low, "max": high}


def encode_pixels(pixels: Pixels, encoding: MapEncoding) -> DenseMap:
    """A picture RGB uint8 [H, W, 3] as a PNG of its colours, or as an NPY of uint8."""
    if encoding is MapEncoding.NPY:
        return {"format": "npy", "data": _npy(pixels), "min": 0.0, "max": 255.0}
    return {"format": "png", "data": _png(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)), "min": 0.0, "max": 255.0}


def decode_map(dense: DenseMap) -> Floats:
    """The map f32 [H, W] that was encoded; from a PNG to within half a step between two greys."""
    array = _read(dense)
    if dense["format"] == "npy":
        return array.astype(np.float32, copy=False)
    step = (dense["max"] - dense["min"]) / np.iinfo(array.dtype).max
    return (array * step + dense["min"]).astype(np.float32)


def decode_pixels(dense: DenseMap) -> Pixels:
    """The picture RGB uint8 [H, W, 3] that was encoded."""
    array = _read(dense).astype(np.uint8, copy=False)
    return array if dense["format"] == "npy" else np.ascontiguousarray(array[:, :, ::-1])


def _npy(array: npt.NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _png(pixels: npt.NDArray[Any]) -> bytes:
    ok, png = cv2.imencode(".png", pixels)
    if not ok:
        raise RuntimeError("OpenCV could not write a PNG")
    return png.tobytes()


def _read(dense: DenseMap) -> npt.NDArray[Any]:
    if dense["format"] == "npy":
        return np.asarray(np.load(io.BytesIO(dense["data"]), allow_pickle=False))
    picture = cv2.imdecode(np.frombuffer(dense["data"], np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise ValueError("the map's data are no PNG")
    return picture
