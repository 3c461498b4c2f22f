"""The form that every decoder takes."""

from typing import Any, NamedTuple

import numpy as np
from torch import nn

from build_engines.artifact import BuildFailure

REMEDY = "see which decoder fits in docs/import.md, and open the file in a viewer (netron) to see its outputs"


class Raw(NamedTuple):
    """One output of the graph, for a single image."""

    name: str
    shape: tuple[int, ...]
    """With the batch axis, which is 1."""
    kind: np.dtype[Any] = np.dtype(np.float32)

    def __str__(self) -> str:
        """E.g. ``output [B, 3549, 85]``."""
        return f"{self.name} [{', '.join(['B', *map(str, self.shape[1:])])}]"


class Size(NamedTuple):
    """The network's input, in pixels."""

    height: int
    width: int


class Decoder(nn.Module):
    """Raw outputs, in the graph's order → the task's tensors, in the order of ``output_names``; batch axis first."""

    def __init__(self, output_names: tuple[str, ...]) -> None:
        super().__init__()
        self.output_names = output_names
        self.classes: int | None = None
        """How many classes its answers tell apart; None where there are none, or where the outputs do not say."""


def single(raw: tuple[Raw, ...], decoder: str, wanted: str) -> Raw:
    """The only output; BuildFailure with what there is where there are several."""
    if len(raw) != 1:
        raise misfit(raw, decoder, wanted)
    return raw[0]


def misfit(raw: tuple[Raw, ...], decoder: str, wanted: str) -> BuildFailure:
    """The failure of outputs that a decoder cannot take."""
    found = ", ".join(map(str, raw))
    return BuildFailure(f"decoder {decoder} takes {wanted}; the graph gives {found}", REMEDY)
