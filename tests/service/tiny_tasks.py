"""Tiny models of the tasks that answer with places; what they find depends on how bright the image is."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.card import ModelCard
from contract.task import Task
from contract.tensors import DType, TensorSpec
from tests.tiny_models import COLOURS, SIDE, write_version

_FLOAT, _INT = TensorProto.FLOAT, TensorProto.INT32


def share_model() -> onnx.ModelProto:
    """Classify: each channel's share of the light; a black image has none to share, and gives NaN."""
    return _model(
        [
            helper.make_node("ReduceSum", ["pixels", "rows_and_columns"], ["light"], keepdims=0),
            helper.make_node("ReduceSum", ["light", "channels"], ["all_light"], keepdims=1),
            helper.make_node("Div", ["light", "all_light"], ["probabilities"]),
        ],
        {"probabilities": (_FLOAT, [3])},
        {"rows_and_columns": np.int64([1, 2]), "channels": np.int64([1])},
    )


def object_model(*, masks: bool) -> onnx.ModelProto:
    """Detect or segment: one object in the middle, its score the image's brightness, its mask the bright pixels."""
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["light"]),
        helper.make_node("ReduceMean", ["light", "all_axes"], ["brightness"], keepdims=0),
        helper.make_node("Reshape", ["brightness", "slots"], ["scores"]),
        helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["labels"], to=_INT),
        helper.make_node("Reshape", ["nothing", "slots_of_corners"], ["no_corner"]),
        helper.make_node("Add", ["no_corner", "corners"], ["boxes"]),
    ]
    outputs: dict[str, Any] = {"boxes": (_FLOAT, [1, 4]), "scores": (_FLOAT, [1]), "labels": (_INT, [1])}
    if masks:
        nodes += [
            helper.make_node("ReduceMean", ["light", "channel_axis"], ["grey"], keepdims=0),
            helper.make_node("Unsqueeze", ["grey", "slot_axis"], ["masks"]),
        ]
        outputs["masks"] = (_FLOAT, [1, SIDE, SIDE])
    constants = {
        "scale": np.float32(1 / 255),
        "zero": np.float32(0),
        "all_axes": np.int64([1, 2, 3]),
        "channel_axis": np.int64([3]),
        "slot_axis": np.int64([1]),
        "slots": np.int64([-1, 1]),
        "slots_of_corners": np.int64([-1, 1, 1]),
        "corners": np.float32([[[0.25, 0.25, 0.75, 0.75]]]),
    }
    return _model(nodes, outputs, constants)


def brightness_model() -> onnx.ModelProto:
    """Regions: the probability of a pixel is its brightness."""
    return _model(
        [
            helper.make_node("Mul", ["pixels", "scale"], ["light"]),
            helper.make_node("ReduceMean", ["light", "channel_axis"], ["probability"], keepdims=0),
        ],
        {"probability": (_FLOAT, [SIDE, SIDE])},
        {"scale": np.float32(1 / 255), "channel_axis": np.int64([3])},
    )


def write_tiny_repository(root: Path) -> None:
    """One model a task, and a second version of the classifier."""
    for version in (1, 2):
        write_version(root, "colours", version)
    write_version(root, "means", task=Task.EMBED)
    write_task(root, "middle", Task.DETECT, object_model(masks=False), labels=COLOURS)
    write_task(root, "blobs", Task.SEGMENT, object_model(masks=True), labels=COLOURS)
    write_task(root, "bright", Task.REGIONS, brightness_model(), task_settings={"min_side": 1})


def write_task(root: Path, name: str, task: Task, model: onnx.ModelProto, **changes: Any) -> ModelCard:
    """Write version 1 of a model whose card follows from its graph."""
    return write_version(root, name, task=task, model=model, outputs=outputs_of(model), **changes)


def outputs_of(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """A graph's outputs as a card has them."""
    return tuple(
        TensorSpec(
            name=value.name,
            dtype=DType.INT32 if value.type.tensor_type.elem_type == _INT else DType.FLOAT32,
            shape=tuple(size.dim_value for size in value.type.tensor_type.shape.dim[1:]),
        )
        for value in model.graph.output
    )


def _model(
    nodes: list[onnx.NodeProto], outputs: dict[str, tuple[int, list[int]]], constants: dict[str, Any]
) -> onnx.ModelProto:
    """A graph that begins with its images as numbers, ``pixels``."""
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])
    to_numbers = helper.make_node("Cast", ["images"], ["pixels"], to=_FLOAT)
    values = [helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name, (kind, shape) in outputs.items()]
    initialisers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph([to_numbers, *nodes], "tiny", [images], values, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
