"""Graphs that compute shapes in ways that shape inference does not follow."""

from typing import Any, cast

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from build_engines.graph_shapes import SMALL, Shape, shapes

_ROUNDS = 100
"""More than any network has blocks in a row."""
_COUNTING = {
    *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Floor", "Ceil", "Cast", "Concat", "Gather", "Slice", "Squeeze"),
    *("Unsqueeze", "ConstantOfShape", "Reshape", "Transpose", "Identity", "Equal", "Where", "ReduceProd", "Range"),
}
"""What exporters compute shapes with."""

Values = dict[str, np.ndarray[Any, Any]]


def readable(light: onnx.ModelProto, name: str, size: tuple[int, ...]) -> onnx.ModelProto:
    """The graph itself where all shapes in it can be told for an input ``name`` of that size.

    Else a copy in which every shape that is computed, and can be, stands as a constant that holds for that size.
    """
    found = shapes(light, name, size)
    if all(_whole(found.get(output)) for node in light.graph.node for output in node.output if output):
        return light
    folded = onnx.ModelProto()
    folded.CopyFrom(light)
    for _ in range(_ROUNDS):
        if not _fold(folded.graph, shapes(folded, name, size)):
            break
    return folded


def _fold(graph: onnx.GraphProto, found: dict[str, Shape]) -> bool:
    """Replace what is known by now; whether there was any."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    outputs, kept, count = {output.name for output in graph.output}, [], len(graph.node)
    for node in graph.node:
        made = None if outputs.intersection(node.output) else _value(node, values, found)
        if made is None:
            kept.append(node)
            continue
        values[node.output[0]] = made
        graph.initializer.append(numpy_helper.from_array(made, node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    return len(kept) < count


def _value(node: onnx.NodeProto, values: Values, found: dict[str, Shape]) -> np.ndarray[Any, Any] | None:
    """What the node gives, where that is known already and small enough to be a shape."""
    if node.op_type == "Constant" and len(node.output) == 1:
        return _small(_run(node, {}))
    if node.op_type == "Shape" and _whole(found.get(node.input[0])):
        start, end = (next((a.i for a in node.attribute if a.name == name), None) for name in ("start", "end"))
        return np.asarray(found[node.input[0]], np.int64)[slice(start, end)]
    given = [name for name in node.input if name]
    if node.op_type not in _COUNTING or node.domain or not all(name in values for name in given):
        return None
    return _small(_run(node, {name: values[name] for name in given}))


def _run(node: onnx.NodeProto, given: Values) -> np.ndarray[Any, Any]:
    (outcome,) = cast("list[Any]", ReferenceEvaluator(node).run(None, given))
    return np.asarray(outcome)


def _small(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    return values if values.size <= SMALL else None


def _whole(shape: Shape) -> bool:
    return shape is not None and None not in shape
