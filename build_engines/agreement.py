"""When do two sets of a task's tensors say the same?

Two measures. The relative error compares numbers, and only those that vary smoothly with the network's output: a
box's corner found by a threshold may jump by a cell, and an integer has no tolerance. Such outputs are judged by
agreement instead: is the task's answer the same? Near-ties count as the same: which of two equals comes first is not
an error.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from build_engines.artifact import Tensors
from contract.preprocess import Floats
from contract.task import Task

UNUSABLE = 1e9
"""The relative error that stands for outputs that are not numbers, or not there."""

_STEPPED = {"boxes", "labels"}
_LEAST_COSINE = 0.9999
_LEAST_BOX_IOU = 0.9
_LEAST_MASK_IOU = 0.95
_INSIDE = 0.5
_TEXT = 0.3
_FEW_PIXELS = 4

Slot = Mapping[str, npt.NDArray[Any]]


def aligned(outputs: Tensors) -> Tensors:
    """The same outputs with the objects of each image ordered by label, then score, so that near-ties cannot swap."""
    if "labels" not in outputs:
        return outputs
    order = np.lexsort((-outputs["scores"], outputs["labels"]), axis=-1)
    return {
        name: np.take_along_axis(values, order.reshape(order.shape + (1,) * (values.ndim - 2)), axis=1)
        for name, values in outputs.items()
    }


def relative_error(reference: Tensors, engine: Tensors) -> float:
    """Largest difference, divided by that output's largest magnitude; `UNUSABLE` for a wrong shape or NaN."""
    errors = [0.0]
    for name, expected in reference.items():
        actual = engine.get(name)
        if actual is None or actual.shape != expected.shape:
            return UNUSABLE
        if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
            return UNUSABLE
        if name not in _STEPPED:
            magnitude = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
            errors.append(float(np.abs(actual - expected).max()) / magnitude)
    return min(max(errors), UNUSABLE)


def agreement(task: Task, reference: Tensors, engine: Tensors, tolerance: float) -> float:
    """Share of the images of a batch for which both give the same answer."""
    same = _SAME[task]
    count = len(next(iter(reference.values())))
    slots = [({n: v[i] for n, v in reference.items()}, {n: v[i] for n, v in engine.items()}) for i in range(count)]
    return sum(same(expected, actual, tolerance) for expected, actual in slots) / count


def _same_class(reference: Slot, engine: Slot, tolerance: float) -> bool:
    expected, chosen = reference["probabilities"], int(engine["probabilities"].argmax())
    return bool(expected[chosen] >= expected.max() * (1 - tolerance))


def _same_direction(reference: Slot, engine: Slot, _: float) -> bool:
    first, second = reference["embedding"].astype(np.float64), engine["embedding"].astype(np.float64)
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return bool(first @ second >= _LEAST_COSINE * lengths)


def _same_objects(reference: Slot, engine: Slot, _: float) -> bool:
    full = reference["scores"] > 0
    if not np.array_equal(full, engine["scores"] > 0):
        return False
    if not np.array_equal(reference["labels"][full], engine["labels"][full]):
        return False
    if (box_iou(reference["boxes"][full], engine["boxes"][full]) < _LEAST_BOX_IOU).any():
        return False
    if "masks" not in reference:
        return True
    masks = zip(reference["masks"][full], engine["masks"][full], strict=True)
    return all(_same_pixels(expected >= _INSIDE, actual >= _INSIDE) for expected, actual in masks)


def _same_map(reference: Slot, engine: Slot, _: float) -> bool:
    return _same_pixels(reference["probability"] >= _TEXT, engine["probability"] >= _TEXT)


def _same_pixels(expected: npt.NDArray[np.bool_], actual: npt.NDArray[np.bool_]) -> bool:
    """Intersection over union is high, or it is a matter of a few pixels only."""
    differing, union = np.count_nonzero(expected ^ actual), np.count_nonzero(expected | actual)
    return bool(differing <= max(_FEW_PIXELS, (1 - _LEAST_MASK_IOU) * union))


def box_iou(first: Floats, second: Floats) -> Floats:
    """Intersection over union f32 [N] of boxes f32 [N,4] (xyxy), pair by pair."""
    spans = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    overlap = spans.clip(min=0).prod(axis=1)
    areas = (first[:, 2:] - first[:, :2]).prod(axis=1) + (second[:, 2:] - second[:, :2]).prod(axis=1)
    return np.asarray(overlap / np.maximum(areas - overlap, np.finfo(np.float32).tiny), np.float32)


_SAME: dict[Task, Callable[[Slot, Slot, float], bool]] = {
    Task.CLASSIFY: _same_class,
    Task.EMBED: _same_direction,
    Task.DETECT: _same_objects,
    Task.SEGMENT: _same_objects,
    Task.REGIONS: _same_map,
}
