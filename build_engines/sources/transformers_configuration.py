"""Which architecture of transformers an entry means: its configuration and its class, made without any download."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import JsonValue
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.models.auto import modeling_auto

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import TransformersSource
from contract.task import Task

_MAPPINGS = {
    Task.CLASSIFY: ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",),
    Task.EMBED: ("MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING", "MODEL_MAPPING"),
    Task.DETECT: ("MODEL_FOR_OBJECT_DETECTION_MAPPING",),
    Task.SEGMENT: (
        "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING",
        "MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING",
        "MODEL_FOR_INSTANCE_SEGMENTATION_MAPPING",
    ),
    Task.DEPTH: ("MODEL_FOR_DEPTH_ESTIMATION_MAPPING",),
    Task.MATTE: ("MODEL_FOR_IMAGE_MATTING_MAPPING",),
    Task.KEYPOINTS: ("MODEL_FOR_POSE_ESTIMATION_MAPPING",),
    Task.RESTORE: ("MODEL_FOR_IMAGE_TO_IMAGE_MAPPING",),
    Task.CLASSIFY_VIDEO: ("MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING",),
}
ANSWER = "answer"
"""The one option that is not a field of the configuration: what a segmenter answers with."""
_STAGES = {"out_features", "out_indices"}
_DERIVED = {"id2label", "label2id", "stage_names", "transformers_version", "dtype", "architectures", "model_type"}


def configuration_of(source: TransformersSource) -> Any:
    """The type's configuration with the entry's options; BuildFailure for an unknown type or option.

    A mapping changes fields of a nested configuration; with another ``model_type`` it replaces it.
    """
    if source.type not in CONFIG_MAPPING:
        near = ", ".join(get_close_matches(source.type, CONFIG_MAPPING, n=3))
        remedy = f"did you mean {near}?" if near else "see transformers' documentation for its model types"
        raise BuildFailure(f"transformers has no model type {source.type!r}", remedy)
    options = {name: value for name, value in source.options.items() if name != ANSWER}
    try:
        return _configured(source.type, options)
    except (TypeError, ValueError, KeyError) as error:
        raise BuildFailure(
            f"the options do not configure {source.type}: {error}", "see the configuration's class"
        ) from error


def class_of(source: TransformersSource, configuration: Any, task: Task) -> Any:
    """The class that the entry names, or the one that transformers has for the task; BuildFailure if there is none."""
    import transformers  # noqa: PLC0415  # the names of all classes, loaded when asked for

    if source.model_class is not None:
        named = getattr(transformers, source.model_class, None)
        if named is None:
            raise BuildFailure(f"transformers has no class {source.model_class}", "correct the entry's model_class")
        return named
    for name in _MAPPINGS.get(task, ()):
        found = getattr(modeling_auto, name).get(type(configuration), None)
        if found is not None:
            return found[0] if isinstance(found, tuple | list) else found
    raise BuildFailure(
        f"transformers has no class of {source.type} for the task {task}", "choose another task, or name a model_class"
    )


def nested(configuration: Any) -> Iterator[Any]:
    """The configuration itself and those within it (a backbone's …)."""
    yield configuration
    for value in list(vars(configuration).values()):
        if isinstance(value, PreTrainedConfig):
            yield from nested(value)


def set_size(configuration: Any, height: int, width: int) -> None:
    """State the input's size, in place, wherever the configuration or its backbone's has one."""
    for part in nested(configuration):
        if getattr(part, "image_size", None) is None:
            continue
        part.image_size = height if height == width else [height, width]


def image_size(configuration: Any) -> tuple[int, int] | None:
    """Height and width that the configuration states, where it does."""
    for part in nested(configuration):
        size = getattr(part, "image_size", None)
        if isinstance(size, int):
            return size, size
        if size is not None:
            return int(size[0]), int(size[1])
    return None


def _configured(kind: str, options: Mapping[str, JsonValue]) -> Any:
    default = AutoConfig.for_model(kind)
    fields: dict[str, Any] = {name: _field(getattr(default, name, None), value) for name, value in options.items()}
    if isinstance(fields.get("backbone"), str) and "backbone_config" not in fields:
        # By name alone transformers would ask the hub what the name means.
        name, stages = fields.pop("backbone"), [1, 2, 3, 4]
        fields.pop("use_timm_backbone", None)
        stated = {"model_type": "timm_backbone", "backbone": name, "features_only": True, "out_indices": stages}
        fields["backbone_config"] = _field(None, stated)
    return AutoConfig.for_model(kind, **fields)


def _field(default: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if isinstance(default, PreTrainedConfig) and value.get("model_type", default.model_type) == default.model_type:
        own = default.to_diff_dict()
        if _STAGES & value.keys():
            # Both name a backbone's stages; the default's would contradict the entry's.
            own = {name: setting for name, setting in own.items() if name.lstrip("_") not in _STAGES}
        merged = own | dict(value)
        return _configured(default.model_type, {name: field for name, field in merged.items() if name not in _DERIVED})
    if "model_type" in value:
        options = dict(value)
        return _configured(str(options.pop("model_type")), options)
    return dict(value)
