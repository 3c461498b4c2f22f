"""Raw outputs for the decoders' tests, with objects at known places."""

import numpy as np
import torch
from torch import Tensor

from build_engines.decoders.form import Raw, Size

SIZE = Size(64, 96)
"""Height and width of the input: not square, so that the axes cannot be exchanged."""


def raw(**outputs: np.ndarray) -> tuple[Raw, ...]:
    """The outputs' names and shapes, as the source step finds them for one image."""
    return tuple(Raw(name, (1, *values.shape[1:]), values.dtype) for name, values in outputs.items())


def tensors(**outputs: np.ndarray) -> list[Tensor]:
    """The same as a decoder takes them."""
    return [torch.from_numpy(values) for values in outputs.values()]


def logit(value: float) -> float:
    """What a sigmoid makes ``value`` of."""
    return float(np.log(value / (1 - value)))
