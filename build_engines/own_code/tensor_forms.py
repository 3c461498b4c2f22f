"""What a tensor of a task may look like as networks give it, and how it becomes what the contract says."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from build_engines.artifact import BuildFailure
from build_engines.heads.class_map import class_map
from contract.task import Task

Finish = Callable[[Tensor], Tensor]
Size = tuple[int, int]

_RANKS = {
    "boxes": 3,
    "scores": 2,
    "labels": 2,
    "masks": 4,
    "keypoints": 4,
    "segment_map": 3,
    "segment_labels": 2,
    "segment_scores": 2,
    "class_map": 3,
}
_INTEGERS = {"labels", "segment_map", "segment_labels"}
_SIZES_WITHIN = {"boxes": 4, "keypoints": 3}
_FURTHEST = 2.0
"""Boxes may reach a little beyond the input (0…1); farther out they are in pixels."""
_SUM_TOLERANCE = 1e-4
_CLASSIFIERS = {Task.CLASSIFY, Task.CLASSIFY_VIDEO}
_MAPS = {Task.DEPTH, Task.MATTE, Task.REGIONS}


def may_be(name: str, tensor: Tensor) -> bool:
    """Whether a tensor has the rank, and the last axis, of the one so named."""
    return tensor.ndim == _RANKS[name] and tensor.shape[-1] == _SIZES_WITHIN.get(name, tensor.shape[-1])


def require_objects(tensors: dict[str, Tensor]) -> None:
    """BuildFailure unless tensors that belong together fit each other, and boxes are xyxy in 0…1."""
    for name, tensor in tensors.items():
        if not may_be(name, tensor):
            wanted = f"{_RANKS[name]} axes" + (f", the last of {_SIZES_WITHIN[name]}" if name in _SIZES_WITHIN else "")
            raise BuildFailure(f"{name} is {list(tensor.shape)}; it needs {wanted}", _SLOTS)
    slots = {
        name: tensor.shape[1] for name, tensor in tensors.items() if name in {"boxes", "scores", "labels", "masks"}
    }
    if len(set(slots.values())) > 1:
        raise BuildFailure(f"the outputs have different numbers of slots: {slots}", _SLOTS)
    boxes = tensors.get("boxes")
    if boxes is None:
        return
    taken = boxes[tensors["scores"] > 0].float()
    if taken.numel() and float(taken.abs().max()) > _FURTHEST:
        raise BuildFailure(
            f"boxes reach {float(taken.abs().max()):.0f}", "divide them by the input's size: they are in 0…1"
        )
    if taken.numel() and bool((taken[:, 2:] < taken[:, :2]).any()):
        raise BuildFailure("some boxes end before they begin", "give them as x1, y1, x2, y2")


_SLOTS = "give boxes [B,N,4], scores [B,N], labels [B,N], with N fixed and score 0 in empty slots (docs/own_code.md)"


def cast_of(name: str, tensor: Tensor) -> Finish:
    """How one of several outputs gets the contract's type."""
    if name in _INTEGERS:
        return partial(_cast, dtype=torch.int32)
    if name == "masks" and not tensor.is_floating_point():
        return partial(_cast, dtype=torch.uint8)
    return partial(_cast, dtype=torch.float32)


def single(task: Task, tensor: Tensor, size: Size, notes: list[str]) -> Finish:
    """How a task's only output becomes the contract's; BuildFailure for a shape that cannot."""
    if task in _CLASSIFIERS:
        return _classes(tensor, notes)
    if task is Task.EMBED:
        return _vector("an embedding is [B,D]", tensor)
    if task is Task.SEGMENT:
        return _semantic(tensor, size, notes)
    if task is Task.RESTORE:
        return _image(tensor)
    return _map(task, tensor)


def _classes(tensor: Tensor, notes: list[str]) -> Finish:
    finish = _vector("a classifier gives [B,C]", tensor)
    values = finish(tensor)
    sums = values.sum(dim=-1)
    if values.shape[1] > 1 and bool((values >= 0).all()) and bool(((sums - 1).abs() < _SUM_TOLERANCE).all()):
        notes.append("the network ends in a softmax; its logarithm stands for the logits")
        return lambda outputs: finish(outputs).clamp(min=torch.finfo(torch.float32).tiny).log()
    return finish


def _vector(wanted: str, tensor: Tensor) -> Finish:
    if tensor.ndim == 2 or (tensor.ndim > 2 and all(length == 1 for length in tensor.shape[2:])):
        return lambda outputs: outputs.flatten(1).float()
    raise BuildFailure(
        f"the network answers {list(tensor.shape)}; {wanted}", "choose a factory with a pooling at its end"
    )


def _semantic(tensor: Tensor, size: Size, notes: list[str]) -> Finish:
    if tensor.ndim == 3 and not tensor.is_floating_point():
        # The largest class is not known from one picture; 16 bits hold any.
        return partial(_cast, dtype=torch.uint8 if tensor.dtype is torch.uint8 else torch.int16)
    if tensor.ndim != 4 or tensor.shape[1] < 2:
        raise BuildFailure(
            f"the network answers {list(tensor.shape)}; semantic segments are logits [B,C,h,w] or a class_map [B,h,w]",
            "give one channel a class; for one class, its logits and their negative",
        )
    if tuple(tensor.shape[2:]) == size:
        return lambda outputs: class_map(outputs.float())
    notes.append(f"the logits {list(tensor.shape[2:])} are enlarged to the input's size, bilinearly, before the argmax")
    return lambda outputs: class_map(
        functional.interpolate(outputs.float(), size=size, mode="bilinear", align_corners=False)
    )


def _map(task: Task, tensor: Tensor) -> Finish:
    if not (tensor.ndim == 3 or (tensor.ndim == 4 and tensor.shape[1] == 1)):
        raise BuildFailure(f"the network answers {list(tensor.shape)}; {task} is [B,h,w]", "give one channel")
    low, high = float(tensor.min()), float(tensor.max())
    if task is not Task.DEPTH and not (low >= -_SUM_TOLERANCE and high <= 1 + _SUM_TOLERANCE):
        raise BuildFailure(
            f"the network answers values of {low:.2g} to {high:.2g}; {task} is in 0…1", "end in a sigmoid"
        )
    if tensor.ndim == 3:
        return partial(_cast, dtype=torch.float32)
    return lambda outputs: outputs.squeeze(1).float()


def _image(tensor: Tensor) -> Finish:
    if tensor.dtype is torch.uint8 and tensor.ndim == 4 and tensor.shape[-1] == 3:
        return lambda outputs: outputs
    if tensor.ndim != 4 or tensor.shape[1] != 3:
        raise BuildFailure(
            f"the network answers {list(tensor.shape)}; restored images are [B,3,h,w] in 0…1", "give RGB"
        )
    return lambda outputs: torch.round(outputs.clamp(0, 1) * 255).to(torch.uint8).permute(0, 2, 3, 1)


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype)
