"""When do two sets of a task's tensors say the same?

Two measures. The relative error compares numbers, and only those that vary smoothly with the network's output: a
box's corner found by a threshold may jump by a cell, and an integer has no tolerance. Such outputs are judged by
agreement instead: is the task's answer the same? Near-ties count as the same: which of two equals comes first, and
which of two equals just misses the last slot, is not an error.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from build_engines.artifact import Tensors
from contract.preprocess import Floats
from contract.task import Task
from contract.tasks.classify import EXPLAINED, HEAT

UNUSABLE = 1e9
"""The relative error that stands for outputs that are not numbers, or not there."""

_STEPPED = {"boxes", "labels", "class_map", "segment_map", "segment_labels", "keypoints", EXPLAINED}
_TIE = 1e-6
"""By how much of the largest probability a class may come before a more probable one: rounding."""
_LEAST_COSINE = 0.9999
_LEAST_BOX_IOU = 0.9
_NEAR = 2e-3
"""Places closer than this (the input's side being 1) are the same; the overlap of a sliver says nothing."""
_LEAST_MASK_IOU = 0.95
_MOST_PIXELS_DIFFERENT = 0.005
_INSIDE = 0.5
_TEXT = 0.3
_FEW_PIXELS = 4
_ROUNDING = 1
"""Levels of an 8-bit image that rounding may move."""

Slot = Mapping[str, npt.NDArray[Any]]


def paired(reference: Tensors, engine: Tensors) -> Tensors:
    """The engine's outputs with the objects of each image in the reference's order, so that near-ties cannot swap.

    Each object of the reference, best first, takes the engine's object of the same label and nearly the same score
    that it overlaps best; what is left fills the remaining slots in its own order. Explained classes are put beside
    themselves, if the engine's order is that of its own probabilities, as it must be.
    """
    if EXPLAINED in reference:
        return _paired_classes(reference, engine)
    if "labels" not in reference or any(engine[name].shape != values.shape for name, values in reference.items()):
        return engine
    orders = np.stack([_pairing(_slot(reference, i), _slot(engine, i)) for i in range(len(reference["labels"]))])
    per_object = {name for name, values in reference.items() if values.ndim >= 2 and values.shape[1] == orders.shape[1]}
    return {
        name: np.take_along_axis(values, orders.reshape(orders.shape + (1,) * (values.ndim - 2)), axis=1)
        if name in per_object
        else values
        for name, values in engine.items()
    }


def relative_error(reference: Tensors, engine: Tensors) -> float:
    """Largest difference, divided by that output's largest magnitude; `UNUSABLE` for a wrong shape or NaN."""
    return max(errors(reference, engine).values(), default=0.0)


def errors(reference: Tensors, engine: Tensors) -> dict[str, float]:
    """The relative error of each output; 0 for those that only agreement can judge.

    Heat is compared where both explain the same class; agreement says whether they may explain different ones.
    """
    found = {name: _error(name, expected, engine.get(name)) for name, expected in reference.items()}
    if EXPLAINED in reference and found[HEAT] < UNUSABLE and found[EXPLAINED] < UNUSABLE:
        same = reference[EXPLAINED] == engine[EXPLAINED]
        found[HEAT] = _error(HEAT, reference[HEAT][same], engine[HEAT][same]) if same.any() else UNUSABLE
    return found


def agreement(task: Task, reference: Tensors, engine: Tensors, tolerance: float) -> float:
    """Share of the images of a batch for which both give the same answer."""
    same = _judge(task, reference)
    count = len(next(iter(reference.values())))
    return sum(same(_slot(reference, i), _slot(engine, i), tolerance) for i in range(count)) / count


def telling(reference: Tensors) -> bool:
    """Whether different images have different answers; where they have not, to agree on them proves little."""
    return any(
        not np.array_equal(values[:1], values[slot : slot + 1])
        for values in reference.values()
        for slot in range(len(values))
    )


def _slot(outputs: Tensors, index: int) -> Slot:
    return {name: values[index] for name, values in outputs.items()}


def _error(name: str, expected: npt.NDArray[Any], actual: npt.NDArray[Any] | None) -> float:
    if actual is None or actual.shape != expected.shape or actual.dtype != expected.dtype:
        return UNUSABLE
    if not (np.isfinite(expected).all() and np.isfinite(actual).all()):
        return UNUSABLE
    if name in _STEPPED or not expected.size:
        return 0.0
    difference = float(np.abs(actual.astype(np.float64) - expected).max())
    magnitude = max(float(np.abs(expected.astype(np.float64)).max()), float(np.finfo(np.float32).tiny))
    if expected.dtype == np.uint8:
        difference = max(0.0, difference - _ROUNDING)
    return min(difference / magnitude, UNUSABLE)


def _paired_classes(reference: Tensors, engine: Tensors) -> Tensors:
    """The engine's outputs with its explained classes in the reference's order where both explain them."""
    wanted, given = reference[EXPLAINED], engine.get(EXPLAINED)
    if given is None or given.shape != wanted.shape or not _descending(engine["probabilities"], given):
        return engine
    orders = np.stack([_class_order(first, second) for first, second in zip(wanted, given, strict=True)])
    heat = np.take_along_axis(engine[HEAT], orders[:, :, None, None], axis=1)
    return {**engine, EXPLAINED: np.take_along_axis(given, orders, axis=1), HEAT: heat}


def _descending(probabilities: Floats, classes: npt.NDArray[Any]) -> bool:
    """Whether classes i32 [B,K] are different ones, in the order of their probabilities f32 [B,C]."""
    in_range = bool((classes >= 0).all() and (classes < probabilities.shape[1]).all())
    if not in_range or any(len(np.unique(row)) < len(row) for row in classes):
        return False
    rising = np.diff(np.take_along_axis(probabilities, classes, axis=1), axis=1)
    return bool((rising <= _TIE * probabilities.max()).all())


def _class_order(wanted: npt.NDArray[Any], given: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """For every slot of the wanted classes i32 [K] the given one that holds its class; others stay in their order."""
    places = {int(label): place for place, label in enumerate(given)}
    order = np.array([places.pop(int(label), -1) for label in wanted], np.intp)
    order[order < 0] = list(places.values())
    return order


def _pairing(reference: Slot, engine: Slot) -> npt.NDArray[np.intp]:
    """For every slot of the reference the engine's slot that is the same object, i64 [N]; a permutation."""
    count = len(reference["labels"])
    scores = np.abs(reference["scores"][:, None] - engine["scores"][None])
    close = scores <= np.maximum(1e-3 * np.abs(reference["scores"]).max(), 1e-6)
    alike = close & (reference["labels"][:, None] == engine["labels"][None])
    nearness = -_distance(reference, engine)
    order = np.full(count, -1, np.intp)
    free = np.ones(count, np.bool_)
    for slot in np.argsort(-reference["scores"], kind="stable"):
        candidates = np.flatnonzero(alike[slot] & free)
        if len(candidates):
            order[slot] = candidates[np.argmax(nearness[slot, candidates])]
            free[order[slot]] = False
    order[order < 0] = np.flatnonzero(free)
    return order


def _distance(reference: Slot, engine: Slot) -> Floats:
    """How far apart the objects are, f32 [N, N]: the largest distance of two edges."""
    if "boxes" not in reference:
        return np.zeros((len(reference["labels"]),) * 2, np.float32)
    return np.asarray(np.abs(reference["boxes"][:, None] - engine["boxes"][None]).max(axis=-1), np.float32)


def _same_class(reference: Slot, engine: Slot, tolerance: float) -> bool:
    expected, chosen = reference["probabilities"], int(engine["probabilities"].argmax())
    same = bool(expected[chosen] >= expected.max() * (1 - tolerance))
    if EXPLAINED not in reference:
        return same
    # Where one explains a class that the other does not, both are as probable.
    wanted, given = reference[EXPLAINED], engine[EXPLAINED].clip(0, len(expected) - 1)
    apart = np.abs(expected[wanted] - expected[given]) > tolerance * expected.max()
    return same and not bool(((wanted != engine[EXPLAINED]) & apart).any())


def _same_direction(reference: Slot, engine: Slot, _: float) -> bool:
    first, second = reference["embedding"].astype(np.float64), engine["embedding"].astype(np.float64)
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return bool(first @ second >= _LEAST_COSINE * lengths)


def _same_objects(reference: Slot, engine: Slot, tolerance: float) -> bool:
    scores = reference["scores"]
    full = scores > 0
    if np.count_nonzero(full) != np.count_nonzero(engine["scores"] > 0):
        return False
    # Where all slots are taken, the last ones beat others by a hair.
    contested = full.all() & (scores <= scores.min() + tolerance * scores.max())
    judged = full & ~contested
    if not np.array_equal(reference["labels"][judged], engine["labels"][judged]):
        return False
    if "boxes" in reference and not same_boxes(reference["boxes"][judged], engine["boxes"][judged]):
        return False
    if "masks" not in reference:
        return True
    masks = zip(reference["masks"][judged], engine["masks"][judged], strict=True)
    return all(_same_pixels(expected >= _INSIDE, actual >= _INSIDE) for expected, actual in masks)


def same_boxes(first: Floats, second: Floats) -> bool:
    """Whether boxes f32 [N,4] are the same, pair by pair."""
    near = np.abs(first - second).max(axis=-1, initial=0) <= _NEAR
    return bool((near | (box_iou(first, second) >= _LEAST_BOX_IOU)).all())


def _same_region_map(reference: Slot, engine: Slot, _: float) -> bool:
    return _same_pixels(reference["probability"] >= _TEXT, engine["probability"] >= _TEXT)


def _same_class_map(reference: Slot, engine: Slot, _: float) -> bool:
    return bool((reference["class_map"] != engine["class_map"]).mean() <= _MOST_PIXELS_DIFFERENT)


def _same_panoptic(reference: Slot, engine: Slot, _: float) -> bool:
    """The same class at nearly every pixel: the numbers of segments may be exchanged between equals."""
    first, second = (_classes(slot) for slot in (reference, engine))
    return bool((first != second).mean() <= _MOST_PIXELS_DIFFERENT)


def _classes(slot: Slot) -> npt.NDArray[Any]:
    segments = slot["segment_map"]
    return np.where(segments >= 0, slot["segment_labels"][segments.clip(min=0)], -1)


def _same_values(_reference: Slot, _engine: Slot, _: float) -> bool:
    """Maps that vary smoothly are judged by their relative error alone."""
    return True


def _same_points(reference: Slot, engine: Slot, _: float) -> bool:
    judged = reference["scores"] > 0
    distance = np.abs(reference["keypoints"][judged, :, :2] - engine["keypoints"][judged, :, :2]).max(
        axis=-1, initial=0
    )
    return bool((distance <= _NEAR).all())


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


_Judge = Callable[[Slot, Slot, float], bool]

_SAME: dict[Task, _Judge] = {
    Task.CLASSIFY: _same_class,
    Task.CLASSIFY_VIDEO: _same_class,
    Task.EMBED: _same_direction,
    Task.DETECT: _same_objects,
    Task.SEGMENT: _same_objects,
    Task.REGIONS: _same_region_map,
    Task.DEPTH: _same_values,
    Task.MATTE: _same_values,
    Task.RESTORE: _same_values,
    Task.KEYPOINTS: _same_points,
}


def _judge(task: Task, outputs: Tensors) -> _Judge:
    if "class_map" in outputs:
        return _same_class_map
    return _same_panoptic if "segment_map" in outputs else _SAME[task]
