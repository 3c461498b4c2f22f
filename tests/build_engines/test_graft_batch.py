"""Graphs that were exported for one image, and take any number afterwards."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from build_engines.artifact import BuildFailure
from build_engines.graft.batch import with_free_batch

SHAPE = (4, 6, 6)


def exported(*nodes: onnx.NodeProto, **constants: Any) -> onnx.ModelProto:
    """A graph from ``x`` f32 [1,4,6,6] to ``y``, with these nodes and constants."""
    graph = helper.make_graph(
        list(nodes),
        "exported",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *SHAPE))],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()],
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    """The graph's output in ONNX Runtime."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": images})[0])


def node(kind: str, *names: str, **attributes: Any) -> onnx.NodeProto:
    """A node from all but the last name to the last."""
    return helper.make_node(kind, names[:-1], names[-1:], name=f"{kind}_{names[-1]}", **attributes)


def shape(*lengths: int) -> np.ndarray:
    """A shape as ONNX takes it, i64 [N]."""
    return np.asarray(lengths, np.int64)


FROZEN = {
    "flattened for a dense layer": exported(node("Reshape", "x", "to", "y"), to=shape(1, -1)),
    "cells in a row": exported(
        node("Reshape", "x", "to", "rows"), node("Transpose", "rows", "y", perm=[0, 2, 1]), to=shape(1, 4, 36)
    ),
    "channels shuffled through a leading axis": exported(
        node("Reshape", "x", "to", "pairs"),
        node("Transpose", "pairs", "swapped", perm=[1, 0, 2]),
        node("Reshape", "swapped", "back", "halves"),
        node("Gather", "halves", "second", "y", axis=0),
        to=shape(2, 2, 36),
        back=shape(2, -1, 2, 6, 6),
        second=np.int64(1),
    ),
    "windows that join the batch": exported(
        node("Reshape", "x", "to", "split"),
        node("Transpose", "split", "windows", perm=[0, 2, 4, 3, 5, 1]),
        node("Reshape", "windows", "joined", "tokens"),
        node("Softmax", "tokens", "soft", axis=1),
        node("Reshape", "soft", "apart", "y"),
        to=shape(1, 4, 2, 3, 2, 3),
        joined=shape(4, 9, 4),
        apart=shape(1, 4, 9, 4),
    ),
    "a size that includes the batch": exported(
        node("Resize", "x", "", "", "sizes", "y", mode="nearest"), sizes=shape(1, 4, 12, 12)
    ),
    "a class token": exported(
        node("Reshape", "x", "to", "tokens"),
        node("Concat", "token", "tokens", "y", axis=1),
        to=shape(1, 4, 36),
        token=np.linspace(0, 1, 36, dtype=np.float32).reshape(1, 1, 36),
    ),
    "a mean over all axes": exported(
        node("ReduceMean", "x", "axes", "mean", keepdims=1), node("Sub", "x", "mean", "y"), axes=shape(0, 1, 2, 3)
    ),
    "a mean over everything": exported(node("ReduceMean", "x", "mean", keepdims=1), node("Sub", "x", "mean", "y")),
    "shapes that are divided": exported(
        node("Shape", "x", "all"),
        node("Slice", "all", "from", "to", "channels"),
        node("Div", "channels", "two", "half"),
        node("Concat", "alone", "half", "two", "rest", "parts", axis=0),
        node("Reshape", "x", "parts", "y"),
        **{"from": shape(1)},
        to=shape(2),
        two=shape(2),
        alone=shape(1),
        rest=shape(36),
    ),
    "free already": exported(node("Reshape", "x", "to", "y"), to=shape(0, 4, -1)),
}


@pytest.mark.parametrize("name", FROZEN)
def test_a_batch_is_answered_as_its_images_alone(name: str) -> None:
    """Freed of its batch size, a graph gives for five images what it gave for each of them."""
    images = np.random.default_rng(3).normal(size=(5, *SHAPE)).astype(np.float32)
    alone = np.concatenate([run(FROZEN[name], images[slot : slot + 1]) for slot in range(5)])
    freed = with_free_batch(FROZEN[name], SHAPE)
    assert freed.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    np.testing.assert_allclose(run(freed, images), alone, atol=1e-6)


def test_the_graph_given_stays_as_it_was() -> None:
    """What was exported is the certificate's reference, so it is copied and not changed."""
    model = FROZEN["channels shuffled through a leading axis"]
    before = model.SerializeToString(deterministic=True)
    with_free_batch(model, SHAPE)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (exported(node("Squeeze", "x", "axes", "y"), axes=shape(0)), "Squeeze Squeeze_y gives [4, 6, 6]"),
        (exported(node("Slice", "x", "from", "to", "axes", "y"), **{"from": shape(0)}, to=shape(1), axes=shape(0)),
         "Slice Slice_y gives [1, 4, 6, 6]"),
        (exported(node("Relu", "token", "y"), token=np.ones((1, 4), np.float32)), "no node of it lets the batch"),
    ],
)  # fmt: skip
def test_what_cannot_be_freed_is_named(model: onnx.ModelProto, named: str) -> None:
    """A node that drops the other images is named, for nobody can guess what it should do with them."""
    with pytest.raises(BuildFailure) as failure:
        with_free_batch(model, SHAPE)
    assert named in failure.value.reason
