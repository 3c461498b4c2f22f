"""A tiny classifier that takes its time, so that requests can be caught in the middle of their work."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.tiny_models import colour_model

_SIZE, _ROUNDS = 384, 250


def slow_model() -> onnx.ModelProto:
    """The colour classifier, kept waiting by a loop of matrix products: some tenths of a second a batch."""
    model = colour_model()
    graph = model.graph
    graph.node.extend(
        [
            helper.make_node("ReduceMean", ["pixels"], ["light"], keepdims=0),
            helper.make_node("Expand", ["light", "square"], ["first"]),
            helper.make_node("Loop", ["rounds", "", "first"], ["last"], body=_body()),
            helper.make_node("ReduceMean", ["last"], ["weariness"], keepdims=0),
            helper.make_node("Mul", ["weariness", "none"], ["no_weariness"]),
            helper.make_node("Add", ["probabilities", "no_weariness"], ["after_all"]),
        ]
    )
    for name, value in {
        "square": np.int64([_SIZE, _SIZE]),
        "rounds": np.int64(_ROUNDS),
        "none": np.float32(0),
    }.items():
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    _rename(model)
    return model


def _body() -> onnx.GraphProto:
    """One round: a matrix product, kept in bounds."""
    matrix = np.random.default_rng(0).standard_normal((_SIZE, _SIZE)).astype(np.float32) / _SIZE
    square = [_SIZE, _SIZE]
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["state", "matrix"], ["product"]),
            helper.make_node("Tanh", ["product"], ["next_state"]),
            helper.make_node("Identity", ["go_on"], ["go_on_still"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, square),
        ],
        [
            helper.make_tensor_value_info("go_on_still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next_state", TensorProto.FLOAT, square),
        ],
        [numpy_helper.from_array(matrix, "matrix")],
    )


def _rename(model: onnx.ModelProto) -> None:
    """Let the sum be called ``probabilities``, as the card wants."""
    names = {"probabilities": "at_once", "after_all": "probabilities"}
    for node in model.graph.node:
        for values in (node.input, node.output):
            values[:] = [names.get(name, name) for name in values]
