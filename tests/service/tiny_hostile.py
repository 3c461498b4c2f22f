"""Tiny models that answer badly: with what is no number for white images, or with more than anyone can look at."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.task import Task
from tests.service.tiny_tasks import (
    BY_CAM,
    brightness_model,
    explaining_model,
    object_model,
    outputs_of,
    panoptic_model,
    people_model,
    write_task,
)
from tests.tiny_models import COLOURS, SIDE, colour_model, embedding_model

MANY = 10_000

_MODELS: dict[str, tuple[Task, onnx.ModelProto, dict[str, Any]]] = {
    "classify": (Task.CLASSIFY, colour_model(), {"labels": COLOURS}),
    "explain": (Task.CLASSIFY, explaining_model(), {"labels": COLOURS, "task_settings": BY_CAM}),
    "detect": (Task.DETECT, object_model(masks=False), {"labels": COLOURS}),
    "instances": (Task.SEGMENT, object_model(masks=True), {"labels": COLOURS}),
    "panoptic": (Task.SEGMENT, panoptic_model(), {"labels": COLOURS}),
    "embed": (Task.EMBED, embedding_model(), {}),
    "regions": (Task.REGIONS, brightness_model(), {"task_settings": {"min_side": 1}}),
    "depth": (Task.DEPTH, brightness_model("depth"), {}),
    "matte": (Task.MATTE, brightness_model("alpha"), {}),
    "keypoints": (Task.KEYPOINTS, people_model(), {}),
}

SPOILED = [
    (name, output.name)
    for name, (_, model, _) in _MODELS.items()
    for output in outputs_of(model)
    if output.dtype == "float32"
    # Where an object is, its mask says; and who explains leaves the probabilities alone.
    and (name, output.name) not in {("instances", "boxes"), ("explain", "probabilities")}
]
"""Every output of numbers that an answer is made of, by the model's name."""

_KINDS = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.uint8): TensorProto.UINT8,
}


def write_spoiled(root: Path, name: str, output: str, value: float) -> None:
    """Write one of the models, whose output is ``value`` throughout (NaN or infinity) for a white image."""
    task, model, fields = _MODELS[name]
    write_task(root, name, task, spoiled(model, output, value), **fields)


def spoiled(model: onnx.ModelProto, output: str, value: float) -> onnx.ModelProto:
    """A model whose output gets something added: 0 / 0 or 1 / 0 for a white image, next to nothing for others."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        for place, name in enumerate(node.output):
            if name == output:
                node.output[place] = "unspoiled"
        for place, name in enumerate(node.input):
            if name == output:
                node.input[place] = "unspoiled"
    copy.graph.node.extend(
        [
            helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", ["levels"], ["darkest"], keepdims=0),
            helper.make_node("Sub", ["white", "darkest"], ["distance"]),
            helper.make_node("Div", ["little", "distance"], ["spoil"]),
            helper.make_node("Add", ["unspoiled", "spoil"], [output]),
        ]
    )
    little = np.float32(0 if np.isnan(value) else np.copysign(1e-20, value))
    constants = {"white": np.float32(255), "little": little}
    copy.graph.initializer.extend(numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items())
    return copy


def write_segmenters(root: Path) -> None:
    """Write models that segment by class, by object and by both; a white image is one segment."""
    for name in ("instances", "panoptic"):
        task, model, fields = _MODELS[name]
        write_task(root, name, task, model, **fields)
    class_map = np.ones((1, SIDE, SIDE), np.uint8)
    write_task(root, "semantic", Task.SEGMENT, constant({"class_map": class_map}), labels=COLOURS)


def write_crowds(root: Path) -> None:
    """Write a model for detect and one for keypoints that find 10,000 of what they look for in every image."""
    rng = np.random.default_rng(0)
    corners = np.sort(rng.random((1, MANY, 2, 2), np.float32), axis=2).reshape(1, MANY, 4)
    joints = np.concatenate([rng.random((1, MANY, 3, 2), np.float32), np.ones((1, MANY, 3, 1), np.float32)], axis=3)
    scores = np.linspace(0.9, 0.5, MANY, dtype=np.float32)[None]
    labels = np.arange(MANY, dtype=np.int32)[None] % 3
    write_task(
        root, "objects", Task.DETECT, constant({"boxes": corners, "scores": scores, "labels": labels}), labels=COLOURS
    )
    write_task(root, "people", Task.KEYPOINTS, constant({"keypoints": joints, "scores": scores}))


def constant(outputs: dict[str, np.ndarray]) -> onnx.ModelProto:
    """A model that answers every image with the same arrays [1, …]."""
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    nodes = [helper.make_node("Shape", ["images"], ["batch_size"], start=0, end=1)]
    constants: dict[str, np.ndarray] = {}
    values = []
    for name, array in outputs.items():
        constants |= {f"{name}_once": array, f"{name}_rest": np.ones(array.ndim - 1, np.int64)}
        nodes += [
            helper.make_node("Concat", ["batch_size", f"{name}_rest"], [f"{name}_shape"], axis=0),
            helper.make_node("Expand", [f"{name}_once", f"{name}_shape"], [name]),
        ]
        values.append(helper.make_tensor_value_info(name, _KINDS[array.dtype], ["batch", *array.shape[1:]]))
    initialisers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "constant", [images], values, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
