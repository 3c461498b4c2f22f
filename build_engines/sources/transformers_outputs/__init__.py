"""What transformers' models put out → the tensors of the contract's tasks; one file a task."""

from typing import Any

from torch import nn

from build_engines.artifact import BuildFailure
from build_engines.sources.transformers_outputs import (
    classify,
    depth,
    detect,
    embed,
    keypoints,
    matte,
    pyramid,
    restore,
    segment,
    video,
)
from contract.preprocess import PreprocessSpec
from contract.task import Task

_MAKERS = {
    Task.CLASSIFY: classify.make,
    Task.EMBED: embed.make,
    Task.DETECT: detect.make,
    Task.SEGMENT: segment.make,
    Task.DEPTH: depth.make,
    Task.MATTE: matte.make,
    Task.KEYPOINTS: keypoints.make,
    Task.RESTORE: restore.make,
    Task.CLASSIFY_VIDEO: video.make,
}


def wrap(
    task: Task, model: Any, spec: PreprocessSpec, answer: str, *, head: object
) -> tuple[nn.Module, tuple[str, ...]]:
    """The model as a network of the task, and its outputs' names; BuildFailure for a task that none can do.

    ``answer`` is what a segmenter gives: ``semantic`` (also where empty), ``panoptic`` or ``instance``. With a
    ``head`` to follow the network gives its pyramid's maps.
    """
    if head is not None:
        return pyramid.make(model)
    if task not in _MAKERS:
        raise BuildFailure(f"nothing of transformers is served for the task {task}", "choose another task")
    return _MAKERS[task](model, spec, answer)
