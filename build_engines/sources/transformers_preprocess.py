"""How transformers' image processor of an architecture prepares images, as a spec of the contract."""

from collections.abc import Mapping
from typing import Any

from transformers.models.auto import image_processing_auto

from build_engines.catalog.entry import Normalisation
from build_engines.sources import transformers_configuration
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.task import Task

_IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_IDENTITY = Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
_SIDES = {Task.DETECT: 640, Task.SEGMENT: 512, Task.DEPTH: 384, Task.MATTE: 512, Task.RESTORE: 64}
_FRAMES = 8
_BICUBIC = 3
"""Pillow's number of the filter, which image processors state."""


def of_type(kind: str, configuration: Any, task: Task) -> tuple[PreprocessSpec, Normalisation]:
    """The image processor's defaults; where it has none, a square of the task's usual side and ImageNet's colours.

    Its size counts only where the configuration states none. Images are stretched to it; an entry states better.
    """
    processor = _processor(kind)
    height, width = transformers_configuration.image_size(configuration) or _processor_size(processor, task)
    bicubic = getattr(processor, "resample", None) == _BICUBIC
    spec = PreprocessSpec(
        height=height,
        width=width,
        resize=Resize.STRETCH,
        interpolation=Interpolation.BICUBIC if bicubic else Interpolation.BILINEAR,
        frames=getattr(configuration, "num_frames", _FRAMES) if task is Task.CLASSIFY_VIDEO else None,
        trimap=task is Task.MATTE,
    )
    return spec, _normalisation(processor)


def _processor(kind: str) -> Any:
    found = image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES.get(kind)  # type: ignore[attr-defined]
    names = found.values() if isinstance(found, Mapping) else (found or ())
    for name in names:
        if name is not None and (processor := image_processing_auto.get_image_processor_class_from_name(name)):
            return processor
    return None


def _processor_size(processor: Any, task: Task) -> tuple[int, int]:
    size = getattr(processor, "size", None)
    if isinstance(size, Mapping) and {"height", "width"} <= size.keys():
        return int(size["height"]), int(size["width"])
    side = _SIDES.get(task, 224)
    return side, side


def _normalisation(processor: Any) -> Normalisation:
    if processor is None:
        return _IMAGENET
    if not getattr(processor, "do_normalize", None):
        return _IDENTITY
    mean, std = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
    return Normalisation(mean=tuple(mean), std=tuple(std)) if mean and std else _IMAGENET
