"""An ONNX graph in the types that TensorRT knows.

TensorRT takes uint8 pixels and gives uint8 maps, but only with a Cast at once behind or before; it has no int16 and no
unsigned integers within. Such tensors become int32 (or int64) here, which holds all their values.
"""

from collections.abc import Iterator, MutableSequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Notes = tuple[str, ...]

_WIDER: dict[int, int] = {
    TensorProto.UINT8: TensorProto.INT32,
    TensorProto.INT16: TensorProto.INT32,
    TensorProto.UINT16: TensorProto.INT32,
    TensorProto.UINT32: TensorProto.INT64,
    TensorProto.UINT64: TensorProto.INT64,
}
_ON_THE_BORDER = {TensorProto.UINT8}
"""What inputs and outputs may be, though nothing between them."""
_QUANTISED = {"QuantizeLinear", "DequantizeLinear"}


def in_engine_types(model: onnx.ModelProto) -> tuple[onnx.ModelProto, Notes]:
    """A copy without types that the engine lacks, every node with a name of its own, and what changed for a caller.

    An output of a type that cannot cross the border either (int16) becomes int32; the notes say so. Types of graphs
    with quantised tensors stay as they are.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _name_nodes(copy.graph)
    if any(node.op_type in _QUANTISED for node in copy.graph.node):
        return copy, ()
    _cast_inputs(copy.graph)
    notes = _cast_outputs(copy.graph)
    for graph in _graphs(copy.graph):
        _widen(graph)
    _forget_types(copy.graph)
    return copy, notes


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name that no other has, for messages speak of them by name."""
    seen: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{index}"
        seen.add(node.name)


def _cast_inputs(graph: onnx.GraphProto) -> None:
    """Narrow inputs are cast before anything else sees them."""
    for value in reversed(graph.input):
        kind = value.type.tensor_type.elem_type
        others = [node for node in graph.node if value.name in node.input and node.op_type != "Cast"]
        if kind not in _WIDER or not others:
            continue
        wide = f"{value.name}__wide"
        for node in others:
            _replace(node.input, value.name, wide)
        graph.node.insert(0, helper.make_node("Cast", [value.name], [wide], name=wide, to=_WIDER[kind]))


def _cast_outputs(graph: onnx.GraphProto) -> Notes:
    """Outputs that may be narrow are cast behind everything else; the others become wide."""
    notes = []
    for value in graph.output:
        kind = value.type.tensor_type.elem_type
        if kind not in _WIDER:
            continue
        if kind not in _ON_THE_BORDER:
            value.type.tensor_type.elem_type = _WIDER[kind]
            notes.append(f"the plan gives {value.name} as int32: the engine has no {_spelt(kind)}")
            continue
        wide = f"{value.name}__wide"
        for node in graph.node:
            _replace(node.input, value.name, wide)
            _replace(node.output, value.name, wide)
        graph.node.append(helper.make_node("Cast", [wide], [value.name], name=f"{value.name}__cast", to=kind))
    return tuple(notes)


def _widen(graph: onnx.GraphProto) -> None:
    """No node makes a narrow tensor but the casts to the outputs, and no constant is one."""
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i in _WIDER and not outputs & set(node.output):
                attribute.i = _WIDER[attribute.i]
            if attribute.name == "to" and attribute.i in _WIDER.keys() - _ON_THE_BORDER:
                attribute.i = _WIDER[attribute.i]
            if attribute.HasField("t") and attribute.t.data_type in _WIDER:
                attribute.t.CopyFrom(_widened(attribute.t))
    for index, tensor in enumerate(graph.initializer):
        if tensor.data_type in _WIDER:
            graph.initializer[index].CopyFrom(_widened(tensor))


def _widened(tensor: onnx.TensorProto) -> onnx.TensorProto:
    wide = helper.tensor_dtype_to_np_dtype(_WIDER[tensor.data_type])
    return numpy_helper.from_array(np.asarray(numpy_helper.to_array(tensor), wide), tensor.name)


def _forget_types(graph: onnx.GraphProto) -> None:
    """What was written of inner types no longer holds."""
    kept = [value for value in graph.value_info if value.type.tensor_type.elem_type not in _WIDER]
    del graph.value_info[:]
    graph.value_info.extend(kept)


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph, and those within its nodes (the bodies of loops and branches)."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _replace(names: MutableSequence[str], old: str, new: str) -> None:
    for index, name in enumerate(names):
        if name == old:
            names[index] = new


def _spelt(kind: int) -> str:
    return str(helper.tensor_dtype_to_np_dtype(kind))
