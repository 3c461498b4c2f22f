"""A tensor as its caller sent it, in bytes or in numbers → the pixels that a model takes, in the same words for all."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.preprocess import Pixels
from service.errors import invalid_parameters


def from_bytes(name: str, data: bytes | memoryview, shape: tuple[int, ...]) -> Pixels:
    """The array uint8 of this shape over these bytes, without a copy; ServiceError if they are not as many."""
    expected = prod(shape)
    if len(data) != expected:
        raise invalid_parameters(f"input {name!r} of shape {list(shape)} has {expected} bytes, not {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def from_numbers(name: str, data: Sequence[Any] | npt.NDArray[Any], shape: tuple[int, ...]) -> Pixels:
    """The array uint8 of this shape from whole numbers from 0 to 255, flat or nested as the shape is; ServiceError."""
    try:
        values = np.asarray(data)
    except ValueError as error:
        raise invalid_parameters(f"the data of input {name!r} are lists of uneven lengths") from error
    if values.dtype.kind not in "iu" or (values.size and not 0 <= values.min() <= values.max() <= 255):
        raise invalid_parameters(f"the data of input {name!r} must be whole numbers from 0 to 255")
    if values.size != prod(shape) or values.shape not in ((values.size,), shape):
        raise invalid_parameters(
            f"input {name!r} of shape {list(shape)} has {prod(shape)} numbers, flat or nested; "
            f"its data are of shape {list(values.shape)}"
        )
    return values.astype(np.uint8).reshape(shape)
