"""Small ONNX graphs, as users bring them."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ANY_SIZE = ("n", 3, "h", "w")
WEIGHTS = np.float32([0.7, 0.2, 0.1]).reshape(1, 3, 1, 1)


def a_detector(*nodes: onnx.NodeProto, opset: int = 13, **changes: Any) -> onnx.ModelProto:
    """A dense map at half the size: the sigmoid of a weighted sum of the channels, first, second, third.

    Its last node may be replaced by ``nodes``, which make ``map`` of ``sum``.
    """
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "weights"], ["sum"], strides=[2, 2]),
            *(nodes or [helper.make_node("Sigmoid", ["sum"], ["map"])]),
        ],
        "detector",
        [helper.make_tensor_value_info("x", changes.get("kind", TensorProto.FLOAT), changes.get("shape", ANY_SIZE))],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [None] * changes.get("rank", 4))],
        [numpy_helper.from_array(WEIGHTS, "weights"), *changes.get("constants", [])],
    )
    graph.input.extend(changes.get("inputs", []))
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("mmdeploy", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)
