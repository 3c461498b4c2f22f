"""Equal constants stand in a graph once."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from build_engines.graph_constants import share

LARGE = np.arange(2048, dtype=np.float32)


def model(**constants: np.ndarray) -> onnx.ModelProto:
    """The sum of the input f32 [2048] and of some constants, one of them added within a condition."""
    names = list(constants)
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, [2048])
    body = helper.make_graph([helper.make_node("Identity", [names[-1]], ["inner"])], "body", [], [value])
    nodes = [
        helper.make_node("Sum", ["x", *names[:-1]], ["sum"]),
        helper.make_node("If", ["yes"], ["chosen"], then_branch=body, else_branch=body),
        helper.make_node("Add", ["sum", "chosen"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2048]) for name in "xy"]
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    tensors.append(numpy_helper.from_array(np.bool_(True), "yes"))
    graph = helper.make_graph(nodes, "sum", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def answer(of: onnx.ModelProto) -> np.ndarray:
    """What the graph makes of zeros."""
    session = onnxruntime.InferenceSession(of.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.zeros(2048, np.float32)})[0]


def test_equal_constants_are_shared() -> None:
    """Of three equal ones one stays, also for what takes it within a condition, and the answer is the same."""
    graph = model(a=LARGE, b=LARGE + 1, c=LARGE, d=LARGE)
    before = answer(graph)
    share(graph)
    onnx.checker.check_model(graph)
    assert [constant.name for constant in graph.graph.initializer] == ["a", "b", "yes"]
    np.testing.assert_array_equal(answer(graph), before)


def test_small_and_different_constants_stay() -> None:
    """What differs in a single number, in type, or is small, is left as it is."""
    other = LARGE.copy()
    other[-1] += 1
    graph = model(a=LARGE, b=other, c=LARGE[:1], d=LARGE[:1].copy())
    share(graph)
    assert len(graph.graph.initializer) == 5
