"""The way from a classifier's logits back to the features that they are pooled from, found by the values on it.

Classifiers differ in how their code is cut into modules, but not in what flows between them: the last layer's input is
the output of another layer, or the mean of a map, or one token of a sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

import torch
from torch import Tensor, nn

from build_engines.explain.gradients import rule_of
from build_engines.explain.recording import Call, recorded

_TOLERANCE = 1e-4
_MOST_PREFIX_TOKENS = 16


class Pooling(Enum):
    """How the features of a picture become one vector."""

    MAP = auto()
    """The mean of a map [B,D,h,w]."""
    MAP_CHANNELS_LAST = auto()
    """The mean of a map [B,h,w,D]."""
    TOKENS = auto()
    """The mean of the patches' tokens, of [B,N,D]."""
    FIRST_TOKEN = auto()
    """The first of the tokens [B,N,D]."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What leads from features to logits."""

    features: nn.Module
    """Gives the features, when it runs for the last time."""
    pooling: Pooling
    grid: tuple[int, int]
    """Rows and columns of the map, or of the patches' tokens."""
    prefix: int
    """How many tokens come before those of the patches."""
    layers: tuple[nn.Module, ...]
    """From the pooled vector to the logits; each has a rule in `build_engines.explain.gradients`."""
    classifier: nn.Module
    """The last layer, whose weight's rows are the classes."""

    @property
    def rows(self) -> Tensor:
        """The classifier's weight f32 [C,D]."""
        weight: Tensor = self.classifier.weight  # type: ignore[assignment]  # a linear layer, or a convolution of 1 x 1
        return weight.flatten(1)

    def as_map(self, features: Tensor) -> Tensor:
        """Features as the network gives them → f32 [B,D,hw]."""
        if self.pooling is Pooling.MAP:
            return features.flatten(2)
        if self.pooling is Pooling.MAP_CHANNELS_LAST:
            return features.flatten(1, 2).transpose(1, 2)
        return features[:, self.prefix :].transpose(1, 2)


def find(network: nn.Module, pixels: Tensor) -> Trail | None:
    """The trail of a classifier of pixels f32 [B,3,H,W], at least two and not alike; None where it is lost."""
    with torch.inference_mode(), recorded(network.modules(), keep=True) as calls:
        logits = network(pixels)
    runs = {call.module: index for index, call in enumerate(calls)}
    # Of a module that runs several times, only the last run can be told from the others.
    last = [call for index, call in enumerate(calls) if runs[call.module] == index]
    value, upto, layers = logits, len(last), list[nn.Module]()
    while True:
        if layers and (trail := _pooled(value, last, calls, layers)):
            return trail
        index = _giver(value, last[:upto])
        if index is None:
            return None
        call, upto = last[index], index
        if not _same(call.entering, value):
            layers.insert(0, call.module)
        value = call.entering.flatten(1)


def _giver(value: Tensor, calls: Sequence[Call]) -> int | None:
    """The last layer that gives this, through which gradients are known to come back."""
    for index in reversed(range(len(calls))):
        if _same(calls[index].leaving, value) and rule_of(calls[index].module) is not None:
            return index
    return None


def _pooled(value: Tensor, last: Sequence[Call], calls: Sequence[Call], layers: list[nn.Module]) -> Trail | None:
    """The trail's beginning, if this value is pooled from what some module gives."""
    *between, classifier = layers
    if not isinstance(classifier, nn.Linear | nn.Conv2d):
        return None
    for call in reversed(last):
        if (found := _pooling(value, call, calls)) is not None:
            pooling, grid, prefix = found
            return Trail(call.module, pooling, grid, prefix, tuple(between), classifier)
    return None


def _pooling(value: Tensor, call: Call, calls: Sequence[Call]) -> tuple[Pooling, tuple[int, int], int] | None:
    """How this value comes of what a module gives, if it does, with the grid and the tokens before it."""
    given = call.leaving
    if given.ndim == 4:
        for pooling, axes in ((Pooling.MAP, (2, 3)), (Pooling.MAP_CHANNELS_LAST, (1, 2))):
            places = given.shape[axes[0]], given.shape[axes[1]]
            if places != (1, 1) and _same(given.mean(dim=axes), value):
                return pooling, places, 0
    if given.ndim == 3 and (grid := _grid(given.shape[1], call, calls)) is not None:
        prefix = given.shape[1] - grid[0] * grid[1]
        if prefix and _same(given[:, 0], value):
            return Pooling.FIRST_TOKEN, grid, prefix
        if _same(given[:, prefix:].mean(dim=1), value):
            return Pooling.TOKENS, grid, prefix
    return None


def _grid(tokens: int, call: Call, calls: Sequence[Call]) -> tuple[int, int] | None:
    """Rows and columns of so many tokens: those of the last convolution's map before, if they fit."""
    upto = next(index for index, other in enumerate(calls) if other is call)
    maps = (other.leaving.shape for other in reversed(calls[:upto]) if isinstance(other.module, nn.Conv2d))
    for _, _, rows, columns in (shape for shape in maps if len(shape) == 4):
        if rows * columns > 1 and 0 <= tokens - rows * columns <= _MOST_PREFIX_TOKENS:
            return rows, columns
    return None


def _same(first: Tensor, second: Tensor) -> bool:
    if first.numel() != second.numel() or len(first) != len(second):
        return False
    flat, other = first.flatten(1), second.flatten(1)
    return bool((flat - other).abs().max() <= _TOLERANCE * other.abs().max())
