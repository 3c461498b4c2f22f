"""Tiny models of all tasks but the first; what most of them find depends on how bright the image is."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.card import ModelCard
from contract.task import Task
from contract.tensors import DType, TensorSpec
from tests.tiny_models import A_SPEC, COLOURS, SIDE, write_version

_FLOAT, _INT = TensorProto.FLOAT, TensorProto.INT32
_DTYPES = {_FLOAT: DType.FLOAT32, _INT: DType.INT32, TensorProto.UINT8: DType.UINT8}

A_TRIMAP = A_SPEC.model_copy(update={"trimap": True})
BY_CAM = {"explanation": "cam"}
A_CLIP = A_SPEC.model_copy(update={"frames": 4})


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


def brightness_model(output: str = "probability") -> onnx.ModelProto:
    """Regions, depth or a matte: the value of a pixel is its brightness."""
    return _model(
        [
            helper.make_node("Mul", ["pixels", "scale"], ["light"]),
            helper.make_node("ReduceMean", ["light", "channel_axis"], [output], keepdims=0),
        ],
        {output: (_FLOAT, [SIDE, SIDE])},
        {"scale": np.float32(1 / 255), "channel_axis": np.int64([3])},
    )


def people_model() -> onnx.ModelProto:
    """Keypoints: one person whose three joints lie on a diagonal, the score the image's brightness."""
    return _model(
        [
            helper.make_node("Mul", ["pixels", "scale"], ["light"]),
            helper.make_node("ReduceMean", ["light", "all_axes"], ["brightness"], keepdims=0),
            helper.make_node("Reshape", ["brightness", "slots"], ["scores"]),
            helper.make_node("Mul", ["scores", "zero"], ["nothing"]),
            helper.make_node("Reshape", ["nothing", "slots_of_joints"], ["no_joint"]),
            helper.make_node("Add", ["no_joint", "joints"], ["keypoints"]),
        ],
        {"keypoints": (_FLOAT, [1, 3, 3]), "scores": (_FLOAT, [1])},
        {
            "scale": np.float32(1 / 255),
            "zero": np.float32(0),
            "all_axes": np.int64([1, 2, 3]),
            "slots": np.int64([-1, 1]),
            "slots_of_joints": np.int64([-1, 1, 1, 1]),
            "joints": np.float32([[[[0.25, 0.25, 0.9], [0.5, 0.5, 0.8], [0.75, 0.75, 0.1]]]]),
        },
    )


def doubling_model() -> onnx.ModelProto:
    """Restore: every pixel four times."""
    return _model(
        [helper.make_node("Resize", ["images", "", "factors"], ["restored"], mode="nearest")],
        {"restored": (TensorProto.UINT8, [2 * SIDE, 2 * SIDE, 3])},
        {"factors": np.float32([1, 2, 2, 1])},
    )


def panoptic_model() -> onnx.ModelProto:
    """Segment: the bright pixels are segment 0, the others none; the score is always 0.75."""
    return _model(
        [
            helper.make_node("ReduceMean", ["pixels", "channel_axis"], ["grey"], keepdims=0),
            helper.make_node("Less", ["grey", "half"], ["dark"]),
            helper.make_node("Cast", ["dark"], ["dark_as_number"], to=_INT),
            helper.make_node("Neg", ["dark_as_number"], ["segment_map"]),
            helper.make_node("ReduceMax", ["segment_map", "map_axes"], ["top"], keepdims=0),
            helper.make_node("Unsqueeze", ["top", "channel_1"], ["slot"]),
            helper.make_node("Mul", ["slot", "nought"], ["segment_labels"]),
            helper.make_node("Cast", ["segment_labels"], ["nothing"], to=_FLOAT),
            helper.make_node("Add", ["nothing", "score"], ["segment_scores"]),
        ],
        {"segment_map": (_INT, [SIDE, SIDE]), "segment_labels": (_INT, [1]), "segment_scores": (_FLOAT, [1])},
        {
            "channel_axis": np.int64([3]),
            "half": np.float32(128),
            "map_axes": np.int64([1, 2]),
            "channel_1": np.int64([1]),
            "nought": np.int32(0),
            "score": np.float32(0.75),
        },
    )


def trimap_model() -> onnx.ModelProto:
    """Matte: the trimap itself, in 0…1."""
    return _model(
        [
            helper.make_node("Gather", ["pixels", "last"], ["trimap"], axis=3),
            helper.make_node("Mul", ["trimap", "scale"], ["alpha"]),
        ],
        {"alpha": (_FLOAT, [SIDE, SIDE])},
        {"last": np.int64(3), "scale": np.float32(1 / 255)},
        A_TRIMAP.input_shape,
    )


def explaining_model() -> onnx.ModelProto:
    """Classify: each channel's share of the light; of the two largest, how far above the mean each place is."""
    return _model(
        [
            helper.make_node("ReduceSum", ["pixels", "rows_and_columns"], ["light"], keepdims=0),
            helper.make_node("ReduceSum", ["light", "channels"], ["all_light"], keepdims=1),
            helper.make_node("Div", ["light", "all_light"], ["probabilities"]),
            helper.make_node("TopK", ["probabilities", "two"], ["best", "places"], axis=-1),
            helper.make_node("Cast", ["places"], ["explained"], to=_INT),
            helper.make_node("OneHot", ["places", "classes", "off_and_on"], ["chosen"], axis=-1),
            helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("ReduceMean", ["planes", "rows_and_columns_of_planes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["cells", "mean"], ["difference"]),
            helper.make_node("Reshape", ["difference", "flat"], ["columns"]),
            helper.make_node("MatMul", ["chosen", "columns"], ["rows"]),
            helper.make_node("Reshape", ["rows", "grid"], ["heat"]),
        ],
        {"probabilities": (_FLOAT, [3]), "explained": (_INT, [2]), "heat": (_FLOAT, [2, SIDE // 2, SIDE // 2])},
        {
            "rows_and_columns": np.int64([1, 2]),
            "rows_and_columns_of_planes": np.int64([2, 3]),
            "channels": np.int64([1]),
            "two": np.int64([2]),
            "classes": np.int64(3),
            "off_and_on": np.float32([0, 1]),
            "flat": np.int64([-1, 3, SIDE * SIDE // 4]),
            "grid": np.int64([-1, 2, SIDE // 2, SIDE // 2]),
        },
    )


def clip_model() -> onnx.ModelProto:
    """Classify a clip: each channel's mean over all frames, of the sum of the three."""
    return _model(
        [
            helper.make_node("ReduceMean", ["pixels", "frames_and_places"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "scale"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        {"probabilities": (_FLOAT, [3])},
        {"frames_and_places": np.int64([1, 2, 3]), "scale": np.float32(8 / 255)},
        A_CLIP.input_shape,
    )


def write_tiny_repository(root: Path) -> None:
    """One model a task, and a second version of the classifier."""
    for version in (1, 2):
        write_version(root, "colours", version)
    write_version(root, "means", task=Task.EMBED)
    write_task(root, "middle", Task.DETECT, object_model(masks=False), labels=COLOURS)
    write_task(root, "blobs", Task.SEGMENT, object_model(masks=True), labels=COLOURS)
    write_task(root, "bright", Task.REGIONS, brightness_model(), task_settings={"min_side": 1})
    write_task(root, "distances", Task.DEPTH, brightness_model("depth"), task_settings={"quantity": "inverse_depth"})
    write_task(root, "cut-out", Task.MATTE, brightness_model("alpha"))
    write_task(root, "diagonal", Task.KEYPOINTS, people_model(), task_settings={"names": ["head", "hand", "foot"]})
    write_task(root, "double", Task.RESTORE, doubling_model())
    write_task(root, "quadrants", Task.CLASSIFY, explaining_model(), labels=COLOURS, task_settings=BY_CAM)
    write_task(root, "clips", Task.CLASSIFY_VIDEO, clip_model(), preprocess=A_CLIP)


def write_task(root: Path, name: str, task: Task, model: onnx.ModelProto, **changes: Any) -> ModelCard:
    """Write version 1 of a model whose card follows from its graph."""
    return write_version(root, name, task=task, model=model, outputs=outputs_of(model), **changes)


def outputs_of(model: onnx.ModelProto) -> tuple[TensorSpec, ...]:
    """A graph's outputs as a card has them."""
    return tuple(
        TensorSpec(
            name=value.name,
            dtype=_DTYPES[value.type.tensor_type.elem_type],
            shape=tuple(size.dim_value for size in value.type.tensor_type.shape.dim[1:]),
        )
        for value in model.graph.output
    )


def _model(
    nodes: list[onnx.NodeProto],
    outputs: dict[str, tuple[int, list[int]]],
    constants: dict[str, Any],
    input_shape: tuple[int, ...] = A_SPEC.input_shape,
) -> onnx.ModelProto:
    """A graph that begins with its images as numbers, ``pixels``."""
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", *input_shape])
    to_numbers = helper.make_node("Cast", ["images"], ["pixels"], to=_FLOAT)
    values = [helper.make_tensor_value_info(name, kind, ["batch", *shape]) for name, (kind, shape) in outputs.items()]
    initialisers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph([to_numbers, *nodes], "tiny", [images], values, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def fragile_model() -> onnx.ModelProto:
    """Classify: each channel's share of the light; ONNX Runtime fails on images that are bright on the whole."""
    return _model(
        [
            helper.make_node("ReduceMean", ["pixels", "all_axes"], ["brightness"], keepdims=0),
            helper.make_node("Div", ["brightness", "bright"], ["excess"]),
            helper.make_node("Cast", ["excess"], ["place"], to=TensorProto.INT64),
            # There is a place 0 and no other.
            helper.make_node("Gather", ["one", "place"], ["ones"]),
            helper.make_node("ReduceSum", ["pixels", "rows_and_columns"], ["light"], keepdims=0),
            helper.make_node("ReduceSum", ["light", "channels"], ["all_light"], keepdims=1),
            helper.make_node("Div", ["light", "all_light"], ["shares"]),
            helper.make_node("Unsqueeze", ["ones", "channels"], ["column"]),
            helper.make_node("Mul", ["shares", "column"], ["probabilities"]),
        ],
        {"probabilities": (_FLOAT, [3])},
        {
            "all_axes": np.int64([1, 2, 3]),
            "bright": np.float32(200),
            "one": np.float32([1]),
            "rows_and_columns": np.int64([1, 2]),
            "channels": np.int64([1]),
        },
    )
