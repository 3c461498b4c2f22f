"""Islands of fp16 or bf16 in an fp32 graph, with a Cast on every shore.

A strongly typed engine computes in the types that the graph says. Products (convolutions and matrices) become low, and
what lies between them follows; fp32 stay normalisation, softmax, reductions, exponentials and powers, everything that
chooses (top-k, NMS, argmax, sampling places), and what leads straight from the last product to a choice or an output:
the decoding of boxes needs more than the eleven bits of fp16. The idea is that of NVIDIA's AutoCast in ModelOpt; the
rules are our own.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from build_engines.graph_shapes import without_weights

Kind = Literal["fp16", "bf16"]
Ranges = Mapping[str, float]
"""The largest absolute value seen of a tensor, by its name."""

PRODUCTS = frozenset({"Conv", "ConvTranspose", "Einsum", "Gemm", "MatMul"})
FOLLOWERS = frozenset(
    {
        "Abs", "Add", "AveragePool", "Clip", "Concat", "DepthToSpace", "Div", "Elu", "Erf", "Expand", "Flatten",
        "Gather", "Gelu", "GlobalMaxPool", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Max", "MaxPool",
        "Min", "Mish", "Mul", "Neg", "PRelu", "Pad", "Relu", "Reshape", "Resize", "Sigmoid", "Slice", "SpaceToDepth",
        "Split", "Squeeze", "Sub", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip
"""Low where all that flows into them is; elsewhere they stay as they are."""
_CHOOSERS = frozenset({"ArgMax", "ArgMin", "GridSample", "NonMaxSuppression", "ScatterND", "TopK"})
_ELEMENTS: dict[Kind, int] = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_NUMBERS: dict[Kind, Any] = {"fp16": np.float16, "bf16": ml_dtypes.bfloat16}
_LARGEST = float(np.finfo(np.float16).max)
_HEADROOM = 2.0
"""Activations may grow so much beyond what was seen before they leave fp16's range."""
_LACKING: dict[Kind, set[str]] = {"fp16": set(), "bf16": {"ConvTranspose"}}
"""Products that TensorRT-RTX 1.7 cannot compute in the precision."""
_ALWAYS_FP32_INPUTS = {"Resize": {1, 2}}
"""Inputs, by operator, whose type is not that of the data."""


@dataclass(frozen=True, slots=True)
class Mixed:
    """A graph with islands."""

    model: onnx.ModelProto
    lowered: frozenset[str]
    """The nodes that compute in the low precision, by name."""
    notes: tuple[str, ...]


def mixed(model: onnx.ModelProto, kind: Kind, ranges: Ranges | None = None) -> Mixed:
    """A copy of an fp32 graph, with its inputs and outputs unchanged, that computes partly in fp16 or bf16.

    fp16 is kept from whatever it cannot hold: constants beyond 65504 or vanishing in it, and tensors whose range (in
    ``ranges``) comes within a factor 2 of that. bf16 has the range of fp32.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _constants_to_initialisers(copy.graph)
    flow = _Flow(copy, kind, ranges or {})
    low = flow.low()
    lowered = frozenset(node.name for node in low)
    notes = (_summary(flow, lowered, kind), *flow.remarks)
    _rewrite(copy.graph, flow, lowered, kind)
    return Mixed(copy, lowered, notes)


class _Flow:
    """What is known of a graph's tensors, and which nodes become low."""

    def __init__(self, model: onnx.ModelProto, kind: Kind, ranges: Ranges) -> None:
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.floats = float_tensors(model)
        self.remarks: list[str] = []
        self._guarded = kind == "fp16"
        self._kind = kind
        self._ranges = ranges
        self._exact = self._found_exact()

    def low(self) -> list[onnx.NodeProto]:
        """The nodes that become low, in the graph's order."""
        chosen, low_tensors, too_large = [], set[str](), 0
        for node in self.graph.node:
            if not self._may_be_low(node):
                continue
            flowing = [name for _, name in self.data(node) if name not in self.constants]
            if node.op_type in FOLLOWERS and not (flowing and low_tensors.issuperset(flowing)):
                continue
            if not self._fits(node):
                too_large += 1
                continue
            chosen.append(node)
            low_tensors.update(name for name in node.output if name in self.floats)
        if too_large:
            self.remarks.append(f"values could leave fp16's range in {too_large} more layers, which stay fp32")
        return chosen

    def data(self, node: onnx.NodeProto) -> Iterator[tuple[int, str]]:
        """The inputs of a node that have the type of its data, with their positions."""
        others = _ALWAYS_FP32_INPUTS.get(node.op_type, set())
        return ((index, name) for index, name in enumerate(node.input) if name in self.floats and index not in others)

    def _may_be_low(self, node: onnx.NodeProto) -> bool:
        if not any(name in self.floats for name in node.output):
            return False
        if node.op_type in PRODUCTS:
            return node.op_type not in _LACKING[self._kind]
        if node.op_type == "Div" and node.input[1] not in self.constants:
            return False
        return node.op_type in FOLLOWERS and node.name not in self._exact

    def _fits(self, node: onnx.NodeProto) -> bool:
        """Whether fp16 can hold all that the node takes and gives."""
        if not self._guarded:
            return True
        seen = [name for name in (*node.input, *node.output) if name in self._ranges]
        if any(self._ranges[name] * _HEADROOM > _LARGEST for name in seen):
            return False
        if node.op_type == "Clip":
            return True
        return all(_holds(self.constants[name]) for _, name in self.data(node) if name in self.constants)

    def _found_exact(self) -> set[str]:
        """Names of the followers that lead to a choice or an output with no product or fp32 layer in between."""
        wanted = {value.name for value in self.graph.output}
        exact = set()
        for node in reversed(self.graph.node):
            if node.op_type in FOLLOWERS and wanted.intersection(node.output):
                exact.add(node.name)
            elif node.op_type not in _CHOOSERS:
                continue
            wanted.update(name for name in node.input if name in self.floats)
        return exact


def _rewrite(graph: onnx.GraphProto, flow: _Flow, names: frozenset[str], kind: Kind) -> None:
    """Retype the low nodes, and put casts on the shores."""
    needed_in_fp32 = {value.name for value in graph.output}
    for node in graph.node:
        if node.name not in names:
            needed_in_fp32.update(_used(node))
    nodes: list[onnx.NodeProto] = []
    known: dict[str, str] = {}
    for node in graph.node:
        nodes += _lowered(node, flow, known, needed_in_fp32, kind) if node.name in names else [node]
    constants = _constants(graph, nodes, known, kind)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)


def _lowered(
    node: onnx.NodeProto, flow: _Flow, known: dict[str, str], needed_in_fp32: set[str], kind: Kind
) -> Iterator[onnx.NodeProto]:
    """The node in low precision, with the casts that it needs before and after; ``known``: low twins by name."""
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    for index, name in flow.data(node):
        if name not in known:
            known[name] = f"{name}__{kind}"
            if name not in flow.constants:
                yield _cast(name, known[name], _ELEMENTS[kind])
        twin.input[index] = known[name]
    given = [(index, name) for index, name in enumerate(node.output) if name in flow.floats]
    for index, name in given:
        known[name] = twin.output[index] = f"{name}__{kind}"
    yield twin
    for _, name in given:
        if name in needed_in_fp32:
            yield _cast(known[name], name, TensorProto.FLOAT)


def _cast(before: str, after: str, element: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [before], [after], name=f"cast:{after}:{element}", to=element)


def _constants(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], known: dict[str, str], kind: Kind
) -> list[onnx.TensorProto]:
    """The initialisers in the precisions in which they are used; what nobody uses any more is dropped."""
    used = {name for node in nodes for name in _used(node)} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    for tensor in graph.initializer:
        if tensor.name in known:
            values = numpy_helper.to_array(tensor)
            if kind == "fp16":
                # Only the bounds of a Clip lie beyond, and there the largest number does the same.
                values = np.where(np.isinf(values), values, values.clip(-_LARGEST, _LARGEST))
            kept.append(numpy_helper.from_array(values.astype(_NUMBERS[kind]), known[tensor.name]))
    return kept


def _holds(tensor: onnx.TensorProto) -> bool:
    """Whether fp16 can hold a constant: nothing finite beyond its range, and not all of it lost below."""
    values = np.abs(numpy_helper.to_array(tensor))
    finite = values[np.isfinite(values)]
    if not finite.size or finite.max() == 0:
        return True
    return bool(finite.max() <= _LARGEST and np.float16(finite.max()) > 0)


def float_tensors(model: onnx.ModelProto) -> set[str]:
    """The names of all fp32 tensors."""
    light = without_weights(model)
    graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    found = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}


def _constants_to_initialisers(graph: onnx.GraphProto) -> None:
    """Constants in one form only."""
    kept = []
    for node in graph.node:
        tensor = node.attribute[0].t if node.op_type == "Constant" and node.attribute[0].HasField("t") else None
        if tensor is None:
            kept.append(node)
            continue
        copy = graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = node.output[0]
    del graph.node[:]
    graph.node.extend(kept)


def _used(node: onnx.NodeProto) -> Iterator[str]:
    """All names that a node needs, those that the graphs within it take from outside included."""
    yield from node.input
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                yield from _used(inner)
            yield from (value.name for value in attribute.g.output)


def _summary(flow: _Flow, names: frozenset[str], kind: Kind) -> str:
    floating = [node for node in flow.graph.node if flow.floats.intersection(node.output) and node.op_type != "Cast"]
    kept = Counter(node.op_type for node in floating if node.name not in names and node.op_type not in FOLLOWERS)
    layers = ", ".join(f"{operator} ({count})" for operator, count in kept.most_common(6))
    return f"{len(names)} of {len(floating)} layers compute in {kind}" + (f"; fp32 stays in {layers}" if kept else "")
