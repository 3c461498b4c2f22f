"""Simplifying makes graphs smaller, not larger."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from build_engines.artifact import Artifact
from build_engines.optimize.graph import simplify
from tests.build_engines.orders import an_order


def expanding(side: int) -> onnx.ModelProto:
    """Adds a number, which the graph itself repeats to side x side, to its input f32 [B,side,side]."""
    constants = [
        numpy_helper.from_array(np.float32([3]), "number"),
        numpy_helper.from_array(np.int64([side, side]), "shape"),
    ]
    nodes = [
        helper.make_node("Expand", ["number", "shape"], ["table"]),
        helper.make_node("Add", ["images", "table"], ["sum"]),
    ]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", side, side]) for name in ("images", "sum")]
    graph = helper.make_graph(nodes, "expanding", values[:1], values[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(("side", "operators"), [(16, ["Add"]), (2100, ["Expand", "Add"])])
def test_constants_are_folded_unless_they_are_huge(tmp_path: Path, side: int, operators: list[str]) -> None:
    """What is constant is computed once and for all, but a small number is not written as a file of megabytes."""
    model = simplify.STEP(Artifact(an_order(tmp_path), model=expanding(side))).model
    assert [node.op_type for node in model.graph.node] == operators
    assert model.ByteSize() < 10_000
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (answer,) = session.run(None, {"images": np.ones((2, side, side), np.float32)})
    assert (answer == 4).all()
