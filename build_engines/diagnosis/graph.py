"""Any values of an exported graph, as ONNX Runtime computes them."""

import re

import numpy as np
import onnx
from onnx import numpy_helper

from build_engines.artifact import INPUT_NAME
from build_engines.diagnosis.recording import Array
from build_engines.onnx_session import open_session
from contract.preprocess import Pixels

_FAILED_NODE = re.compile(r"Name:'([^']*)'")


class GraphRun:
    """Runs the part of a graph that the values asked for need."""

    def __init__(self, model: onnx.ModelProto, images: Pixels) -> None:
        self._model = model
        self._images = images
        self._makers = {name: node for node in model.graph.node for name in node.output if name}
        self.outputs = tuple(output.name for output in model.graph.output)

    def values(self, names: tuple[str, ...], *, optimised: bool = False) -> dict[str, Array]:
        """These values by name, for the batch; one of `ENGINE_ERRORS` if the graph does not run as far as that."""
        session = open_session(self._part(names).SerializeToString(), optimised=optimised, quiet=True)
        feeds = {INPUT_NAME: self._images} if session.get_inputs() else {}
        return dict(zip(names, session.run(list(names), feeds), strict=True))

    def needs(self, name: str, any_of: set[str]) -> bool:
        """Whether one of these values goes into the making of ``name``."""
        return bool(self._before((name,))[1] & any_of)

    def _part(self, names: tuple[str, ...]) -> onnx.ModelProto:
        nodes, values = self._before(names)
        part = onnx.ModelProto(
            ir_version=self._model.ir_version, opset_import=self._model.opset_import, functions=self._model.functions
        )
        graph, whole = part.graph, self._model.graph
        graph.name = whole.name
        graph.node.extend(node for node in whole.node if id(node) in nodes)
        graph.initializer.extend(tensor for tensor in whole.initializer if tensor.name in values)
        graph.input.extend(value for value in whole.input if value.name in values)
        known = {value.name: value for value in whole.output}
        graph.output.extend(known.get(name, onnx.ValueInfoProto(name=name)) for name in names)
        return part

    def _before(self, names: tuple[str, ...]) -> tuple[set[int], set[str]]:
        """Ids of the nodes, and the values, that lead to these values, themselves included."""
        nodes: set[int] = set()
        values: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in values:
                continue
            values.add(name)
            node = self._makers.get(name)
            if node is not None and id(node) not in nodes:
                nodes.add(id(node))
                waiting.extend(needed(node))
        return nodes, values


def needed(node: onnx.NodeProto) -> list[str]:
    """The values that a node reads, those that its branches and loops read included."""
    names = [name for name in node.input if name]
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else list(attribute.graphs):
            names += [name for inner in graph.node for name in needed(inner)]
    return names


def failed_node(error: Exception) -> str | None:
    """The name of the node at which the runtime stopped, where it says so."""
    found = _FAILED_NODE.search(str(error))
    return found.group(1) if found else None


def constant_shape(model: onnx.ModelProto, node: onnx.NodeProto) -> list[int] | None:
    """The shape that a Reshape or Expand is told to make, where it is a constant."""
    if node.op_type not in {"Reshape", "Expand"}:
        return None
    name = node.input[1]
    for tensor in model.graph.initializer:
        if tensor.name == name:
            return _numbers(tensor)
    for maker in model.graph.node:
        if maker.op_type == "Constant" and name in maker.output:
            return _numbers(maker.attribute[0].t)
    return None


def _numbers(tensor: onnx.TensorProto) -> list[int]:
    return [int(number) for number in np.atleast_1d(numpy_helper.to_array(tensor))]
