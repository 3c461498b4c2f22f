"""Constants that stand in a graph more than once."""

import hashlib
from collections.abc import Iterator, Mapping

import onnx

_LEAST = 2**12
"""Bytes below which a constant is not worth the search."""


def share(model: onnx.ModelProto) -> None:
    """Keep one of all constants that are equal, in place; what took another one takes that."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    instead: dict[str, str] = {}
    outputs = {output.name for output in model.graph.output}
    for constant in model.graph.initializer:
        if constant.ByteSize() < _LEAST or constant.name in outputs:
            continue
        content = onnx.TensorProto()
        content.CopyFrom(constant)
        content.ClearField("name")
        digest = hashlib.sha256(content.SerializeToString(deterministic=True)).digest()
        name = first.setdefault((constant.data_type, tuple(constant.dims), digest), constant.name)
        if name != constant.name:
            instead[constant.name] = name
    if instead:
        for place in reversed(range(len(model.graph.initializer))):
            if model.graph.initializer[place].name in instead:
                del model.graph.initializer[place]
        _rename(model.graph, instead)


def _rename(graph: onnx.GraphProto, instead: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]
        for inner in _graphs_in(node):
            _rename(inner, instead)


def _graphs_in(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The bodies of a loop or a condition, which take names from outside."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
