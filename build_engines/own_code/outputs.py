"""The task's tensors, taken from whatever a network answers: tensors, tuples, lists, mappings, dataclasses.

What to take is settled once, on a trial run, so that nothing of it depends on values when the network is exported.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from build_engines.artifact import BuildFailure
from build_engines.own_code import tensor_forms
from contract.task import Task

Path = tuple[str | int, ...]
Finish = Callable[[Tensor], Tensor]

_SETS: dict[Task, tuple[tuple[str, ...], ...]] = {
    Task.DETECT: (("boxes", "scores", "labels"),),
    Task.SEGMENT: (
        ("boxes", "scores", "labels", "masks"),
        ("segment_map", "segment_labels", "segment_scores"),
        ("class_map",),
    ),
    Task.KEYPOINTS: (("keypoints", "scores", "boxes"), ("keypoints", "scores")),
}
"""The tensors that tasks with several of them have, in the order of a tuple."""
_SINGLE: dict[Task, str] = {
    Task.CLASSIFY: "probabilities",
    Task.CLASSIFY_VIDEO: "probabilities",
    Task.EMBED: "embedding",
    Task.SEGMENT: "class_map",
    Task.DEPTH: "depth",
    Task.MATTE: "alpha",
    Task.RESTORE: "restored",
    Task.REGIONS: "probability",
}
_USUAL = ("logits", "out", "output", "outputs", "pred", "prediction", "predictions")
_KEYS: dict[Task, tuple[str, ...]] = {
    Task.CLASSIFY: _USUAL,
    Task.CLASSIFY_VIDEO: _USUAL,
    Task.EMBED: ("embedding", "embeddings", "pooler_output", "x_norm_clstoken", "features", *_USUAL),
    Task.SEGMENT: (*_USUAL, "seg", "sem_seg", "semantic", "masks"),
    Task.DEPTH: ("depth", "predicted_depth", "disparity", *_USUAL),
    Task.MATTE: ("alpha", "alphas", "pha", "matte", "phas", *_USUAL),
    Task.RESTORE: ("restored", "reconstruction", "sr", *_USUAL),
    Task.REGIONS: ("probability", "maps", *_USUAL),
}
"""Names under which repositories keep the one tensor that counts."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A network that gives the task's tensors, what they are called, and what was chosen among its answers."""

    module: "TaskNetwork"
    names: tuple[str, ...]
    notes: tuple[str, ...]
    classes: int | None
    """How many a classifier or a semantic segmenter has; None where the shapes do not tell."""


class TaskNetwork(nn.Module):
    """Pixels f32 [B,3,H,W], normalised → the task's tensors; a classifier's logits."""

    def __init__(self, network: nn.Module, paths: tuple[Path, ...], finishes: tuple[Finish, ...]) -> None:
        super().__init__()
        self.network = network
        self._paths = paths
        self._finishes = finishes

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run, take, finish."""
        answer = self.network(pixels)
        taken = [_at(answer, path) for path in self._paths]
        done = [finish(tensor) for finish, tensor in zip(self._finishes, taken, strict=True)]
        return done[0] if len(done) == 1 else tuple(done)


def fit(network: nn.Module, task: Task, pixels: Tensor) -> Fitted:
    """Try the network with pixels f32 [B,3,H,W]; BuildFailure where its answer cannot be the task's."""
    with torch.inference_mode():
        answer = network(pixels)
    notes: list[str] = []
    names, paths = _several(answer, task) or _single(answer, task, notes)
    tensors = [_at(answer, path) for path in paths]
    for name, tensor in zip(names, tensors, strict=True):
        if not tensor.ndim or len(tensor) != len(pixels):
            raise BuildFailure(
                f"the network answers {name} {list(tensor.shape)} to a batch of {len(pixels)} images",
                "the batch must come first in every output",
            )
    size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
    if len(names) > 1:
        tensor_forms.require_objects(dict(zip(names, tensors, strict=True)))
        finishes = tuple(tensor_forms.cast_of(name, tensor) for name, tensor in zip(names, tensors, strict=True))
    else:
        finishes = (tensor_forms.single(task, tensors[0], size, notes),)
    return Fitted(TaskNetwork(network, paths, finishes), names, tuple(notes), _classes(task, tensors[0]))


def _classes(task: Task, tensor: Tensor) -> int | None:
    scored = task in {Task.CLASSIFY, Task.CLASSIFY_VIDEO} or (task is Task.SEGMENT and tensor.is_floating_point())
    return int(tensor.shape[1]) if scored and tensor.ndim in {2, 4} else None


def _several(answer: Any, task: Task) -> tuple[tuple[str, ...], tuple[Path, ...]] | None:
    """The tensors of a task that has several: by name, or by their place in a tuple."""
    if named := _named(answer):
        for names in _SETS.get(task, ()):
            if all(isinstance(named.get(name), Tensor) for name in names):
                return names, tuple((name,) for name in names)
        if task not in _SINGLE:
            wanted = " or ".join(", ".join(names) for names in _SETS[task])
            raise BuildFailure(f"the network answers {_told(answer)}; {task} needs {wanted}", _ADVICE)
        return None
    if isinstance(answer, tuple | list):
        for names in _SETS.get(task, ()):
            fits = len(answer) == len(names) and all(isinstance(item, Tensor) for item in answer)
            if fits and all(tensor_forms.may_be(name, item) for name, item in zip(names, answer, strict=True)):
                return names, tuple((index,) for index in range(len(names)))
    if task in _SINGLE:
        return None
    wanted = " or ".join(", ".join(names) for names in _SETS[task])
    raise BuildFailure(f"the network answers {_told(answer)}; {task} needs {wanted}", _ADVICE)


def _single(answer: Any, task: Task, notes: list[str]) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    path = _path_to_one(answer, task, ())
    if path:
        place = ".".join(str(part) for part in path)
        notes.append(f"of the network's answer ({_told(answer)}) its part {place} is taken")
    return (_SINGLE[task],), (path,)


def _path_to_one(answer: Any, task: Task, path: Path) -> Path:
    """Where in a nested answer the one tensor is: by its usual name, else the first."""
    if isinstance(answer, Tensor):
        return path
    if named := _named(answer):
        if "class_map" in named and task is Task.SEGMENT:
            return (*path, "class_map")
        for key in _KEYS[task]:
            if named.get(key) is not None:
                return _path_to_one(named[key], task, (*path, key))
        tensors = [name for name, value in named.items() if isinstance(value, Tensor)]
        if len(tensors) == 1:
            return (*path, tensors[0])
    elif isinstance(answer, tuple | list) and answer:
        return _path_to_one(answer[0], task, (*path, 0))
    raise BuildFailure(f"the network answers {_told(answer)}, and which part of it is the answer is not clear", _ADVICE)


_ADVICE = "wrap the network in a factory of your own that gives the task's tensors (docs/own_code.md)"


def _at(answer: Any, path: Path) -> Tensor:
    for part in path:
        attribute = isinstance(part, str) and not isinstance(answer, Mapping)
        answer = getattr(answer, str(part)) if attribute else answer[part]
    tensor: Tensor = answer
    return tensor


def _named(answer: Any) -> dict[str, Any] | None:
    """What an answer has by name: a mapping's items, a dataclass's or named tuple's fields; None for other answers."""
    if isinstance(answer, Mapping):
        return {str(name): value for name, value in answer.items()}
    if is_dataclass(answer) and not isinstance(answer, type):
        return {item.name: getattr(answer, item.name) for item in fields(answer)}
    names = getattr(answer, "_fields", None)
    return None if names is None else {name: getattr(answer, name) for name in names}


def _told(answer: Any) -> str:
    """An answer's form in a few words."""
    if isinstance(answer, Tensor):
        return f"a tensor {list(answer.shape)}"
    if named := _named(answer):
        return f"a {type(answer).__name__} of {', '.join(list(named)[:8])}"
    if isinstance(answer, tuple | list):
        inner = ", ".join(_told(item) for item in answer[:4])
        return f"a {type(answer).__name__} of {len(answer)} ({inner}{' …' if len(answer) > 4 else ''})"
    return f"a {type(answer).__name__}"
