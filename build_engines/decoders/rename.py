"""Raw outputs that are the task's tensors, or nearly."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from build_engines.artifact import BuildFailure
from build_engines.catalog.decoding import Rename, Step
from build_engines.decoders.form import REMEDY, Decoder, Raw, misfit
from contract.task import Task
from contract.tasks.table import TASKS

RANKS = {
    "probabilities": 2,
    "embedding": 2,
    "boxes": 3,
    "scores": 2,
    "labels": 2,
    "masks": 4,
    "class_map": 3,
    "segment_map": 3,
    "segment_labels": 2,
    "segment_scores": 2,
    "depth": 3,
    "alpha": 3,
    "keypoints": 4,
    "images": 4,
    "probability": 3,
}
"""How many axes each of the contract's tensors has, the batch included."""

_NUMBERED = {"labels", "segment_map", "segment_labels"}


class RenameDecoder(Decoder):
    """Each of the task's tensors from one raw output."""

    def __init__(self, decoding: Rename, raw: tuple[Raw, ...], task: Task) -> None:
        steps = decoding.tensors or {_only_name(task, raw): Step()}
        super().__init__(_ordered(tuple(steps), task))
        names = [output.name for output in raw]
        self.steps = [steps[name] for name in self.output_names]
        self.places: list[int] = []
        for step in self.steps:
            if step.output not in names and not (step.output is None and len(raw) == 1):
                raise misfit(raw, "rename", f"an output {step.output}" if step.output else "the name of an output")
            self.places.append(names.index(step.output) if step.output else 0)
        self.classes = self._classes(raw)

    def _classes(self, raw: tuple[Raw, ...]) -> int | None:
        """As many as the classifier's output is long, or as the argmax has to choose from."""
        for name, step, place in zip(self.output_names, self.steps, self.places, strict=True):
            shape = raw[place].shape
            if name == "probabilities":
                return int(np.prod(shape[1:]))
            if step.argmax:
                return (tuple(shape[axis] for axis in step.transpose) if step.transpose else shape)[step.axis]
        return None

    def forward(self, *outputs: Tensor) -> tuple[Tensor, ...]:
        """Carry out each tensor's steps."""
        made = zip(self.output_names, self.steps, self.places, strict=True)
        return tuple(_made(name, step, outputs[place]) for name, step, place in made)


def _only_name(task: Task, raw: tuple[Raw, ...]) -> str:
    sets = [names for names in TASKS[task].output_sets if len(names) == 1]
    if not sets or len(raw) != 1:
        found = ", ".join(map(str, raw))
        raise BuildFailure(
            f"task {task} needs to be told how {found} become {_sets(task)}",
            f"name a decoder under outputs, or each tensor's raw output under outputs.tensors; {REMEDY}",
        )
    return next(iter(sets[0]))


def _ordered(names: tuple[str, ...], task: Task) -> tuple[str, ...]:
    if frozenset(names) not in TASKS[task].output_sets:
        raise BuildFailure(
            f"outputs.tensors names {', '.join(sorted(names))}; task {task} has {_sets(task)}",
            "name exactly those tensors",
        )
    return tuple(name for name in RANKS if name in names)


def _sets(task: Task) -> str:
    return " or ".join(", ".join(sorted(names)) for names in TASKS[task].output_sets)


def _made(name: str, step: Step, values: Tensor) -> Tensor:
    if step.transpose:
        values = values.permute(step.transpose)
    if step.squeeze:
        values = values.squeeze(step.squeeze)
    if step.resize:
        values = _resized(values, step.resize)
    values = _activated(values, step)
    if step.argmax:
        classes = values.shape[step.axis]
        return _without_singles(values.argmax(step.axis), RANKS[name]).to(_number(name, classes))
    if step.scale != 1 or step.offset != 0:
        values = values * step.scale + step.offset
    return _cast(name, _without_singles(values, RANKS[name]))


def _activated(values: Tensor, step: Step) -> Tensor:
    if step.activation == "softmax":
        return values.softmax(dim=step.axis)
    return values.sigmoid() if step.activation == "sigmoid" else values


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor:
    planes = values[:, None] if values.ndim == 3 else values
    resized = functional.interpolate(planes, size=size, mode="bilinear", align_corners=False)
    return resized[:, 0] if values.ndim == 3 else resized


def _without_singles(values: Tensor, rank: int) -> Tensor:
    """Without its first axes of length 1 that are too many; the batch axis stays."""
    while values.ndim > rank and 1 in values.shape[1:]:
        values = values.squeeze(1 + list(values.shape[1:]).index(1))
    return values


def _number(name: str, classes: int) -> torch.dtype:
    if name == "class_map":
        return torch.uint8 if classes <= 256 else torch.int16
    return torch.int32


def _cast(name: str, values: Tensor) -> Tensor:
    if name in _NUMBERED:
        return values.to(torch.int32)
    if name == "class_map":
        return values.to(torch.int16)
    if name == "images":
        return values.round().clamp(0, 255).to(torch.uint8)
    return values.to(torch.float32)
