"""What every module of a torch network takes and gives, in brief: enough to compare, too little to fill the memory."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from contract.preprocess import Pixels

APART = float("inf")
"""The difference between tensors of different shapes, or of which only one is a number."""

_SAMPLE = 16384

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Imprint:
    """A tensor in brief."""

    shape: tuple[int, ...]
    sample: npt.NDArray[np.float64]
    """Its values at even distances, all of them where they are few."""
    magnitude: float
    """The largest finite one."""
    finite: bool
    real: bool
    """Its values are floating-point numbers."""


def imprint(values: Array) -> Imprint:
    """Brief of an array of numbers or truth values."""
    flat = values.reshape(-1)
    wide = flat[:: max(1, flat.size // _SAMPLE)].astype(np.float64)
    finite = np.isfinite(flat) if flat.dtype.kind == "f" else np.ones(flat.shape, bool)
    magnitude = float(np.abs(flat, where=finite, out=np.zeros(flat.shape)).max(initial=0.0))
    return Imprint(values.shape, wide, magnitude, bool(finite.all()), values.dtype.kind == "f")


def difference(expected: Imprint, actual: Imprint) -> float:
    """Largest difference of the values, divided by the largest expected magnitude; `APART` where that says nothing."""
    if expected.shape != actual.shape:
        return APART
    same = (expected.sample == actual.sample) | (np.isnan(expected.sample) & np.isnan(actual.sample))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(expected.sample - actual.sample))
    if not np.isfinite(gaps).all() or expected.finite != actual.finite:
        return APART
    return float(gaps.max(initial=0.0)) / max(expected.magnitude, float(np.finfo(np.float32).tiny))


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a module."""

    module: str
    """Its path; empty: the outermost one."""
    inputs: tuple[tuple[Imprint, ...], ...]
    """Of each tensor the brief, or, in a recording by slots, one brief for each image."""
    outputs: tuple[tuple[Imprint, ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The calls in the order in which they ended: what is inside a module comes before it."""

    calls: tuple[Call, ...]

    @property
    def last(self) -> Call:
        """The call of the outermost module."""
        return self.calls[-1]

    def numbered(self) -> dict[tuple[str, int], Call]:
        """The calls by module and how often it was called before; Python code may take another way in another run."""
        counts: Counter[str] = Counter()
        found = {}
        for call in self.calls:
            found[call.module, counts[call.module]] = call
            counts[call.module] += 1
        return found

    def paired(self, other: "Recording") -> list[tuple[Call, Call]]:
        """The calls that both have, in this one's order; the last pair is that of the outermost module."""
        theirs = other.numbered()
        return [(call, theirs[key]) for key, call in self.numbered().items() if key in theirs]


def record(network: nn.Module, images: Pixels, alone: Recording | None = None) -> Recording:
    """Run the network and note what its modules take and give.

    With the recording of an image ``alone``, the tensors are divided into what belongs to each image of the batch;
    a tensor that cannot be divided, because its shape does not tell how, has no briefs.
    """
    recorder = _Recorder(len(images), alone)
    with ExitStack() as stack, torch.inference_mode():
        for name, module in network.named_modules():
            stack.callback(module.register_forward_pre_hook(recorder.enter, with_kwargs=True).remove)
            leave = partial(recorder.leave, name)
            stack.callback(module.register_forward_hook(leave).remove)
        network(torch.from_numpy(images))
    return Recording(tuple(recorder.calls))


class _Recorder:
    def __init__(self, count: int, alone: Recording | None) -> None:
        self.calls: list[Call] = []
        self._count = count
        self._alone = {} if alone is None else alone.numbered()
        self._divides = alone is not None
        self._counts: Counter[str] = Counter()
        self._open: list[tuple[Array, ...]] = []

    def enter(self, _: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        """Keep a copy of the inputs: the module may change them in place."""
        self._open.append(tuple(values.copy() for values in _arrays((positional, named))))

    def leave(self, name: str, _: nn.Module, __: Any, outputs: Any) -> None:
        """Note the call."""
        alone = self._alone.get((name, self._counts[name]))
        self._counts[name] += 1
        inputs = self._brief(self._open.pop(), None if alone is None else alone.inputs)
        given = self._brief(tuple(_arrays(outputs)), None if alone is None else alone.outputs)
        self.calls.append(Call(name, inputs, given))

    def _brief(
        self, tensors: tuple[Array, ...], alone: tuple[tuple[Imprint, ...], ...] | None
    ) -> tuple[tuple[Imprint, ...], ...]:
        if not self._divides:
            return tuple((imprint(values),) for values in tensors)
        if alone is None or len(alone) != len(tensors):
            return ((),) * len(tensors)
        pairs = zip(tensors, alone, strict=True)
        return tuple(tuple(map(imprint, _divided(values, single[0].shape, self._count))) for values, single in pairs)


def _arrays(value: Any) -> Iterator[Array]:
    """The tensors within nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value.detach().numpy() if value.dtype is not torch.bfloat16 else value.detach().float().numpy()
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _arrays(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _arrays(item)


def _divided(values: Array, alone: tuple[int, ...], count: int) -> list[Array]:
    if values.shape == alone:
        return [values] * count
    if values.ndim != len(alone):
        return []
    axes = [axis for axis, (many, one) in enumerate(zip(values.shape, alone, strict=True)) if many != one]
    if len(axes) != 1 or values.shape[axes[0]] != count * alone[axes[0]]:
        return []
    return np.split(values, count, axis=axes[0])
