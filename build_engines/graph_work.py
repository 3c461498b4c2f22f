"""How many multiply-accumulates an ONNX graph does for one input."""

import math
from collections.abc import Mapping

import onnx

from build_engines.graph_shapes import Shape, real_inputs, shapes, without_weights


def gmacs(model: onnx.ModelProto, size: tuple[int, ...]) -> float | None:
    """10⁹ multiply-accumulates in matrix products and convolutions for an input of that size, [1, C, H, W].

    None where the shape of one of them cannot be told: an incomplete sum would look like a small model.
    """
    (entrance,) = real_inputs(model.graph)
    try:
        found = shapes(without_weights(model), entrance.name, size)
    except onnx.shape_inference.InferenceError:
        return None
    works = [_work(node, found) for node in model.graph.node if node.op_type in _COUNTED]
    return None if None in works else round(sum(work for work in works if work) / 1e9, 4)


def _work(node: onnx.NodeProto, found: Mapping[str, Shape]) -> int | None:
    taken, given = [found.get(name) for name in node.input[:2]], found.get(node.output[0])
    return _COUNTED[node.op_type](taken, given, node) if _complete(*taken, given) else None


def _complete(*wanted: Shape) -> bool:
    return all(shape is not None and None not in shape for shape in wanted)


def _convolution(taken: list[Shape], given: Shape, _: onnx.NodeProto) -> int:
    # Every output value takes one product for each weight of its filter.
    return _product(given) * _product((taken[1] or ())[1:])


def _transposed(taken: list[Shape], _given: Shape, _: onnx.NodeProto) -> int:
    # Every input value is spread by each weight of its filter.
    return _product(taken[0]) * _product((taken[1] or ())[1:])


def _product_of_matrices(taken: list[Shape], given: Shape, _: onnx.NodeProto) -> int:
    return _product(given) * ((taken[0] or (1,))[-1] or 1)


def _gemm(taken: list[Shape], given: Shape, node: onnx.NodeProto) -> int:
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return _product(given) * ((taken[0] or (1, 1))[0 if turned else 1] or 1)


def _product(shape: Shape) -> int:
    return math.prod(length or 1 for length in shape or ())


_COUNTED = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "MatMul": _product_of_matrices,
    "Gemm": _gemm,
}
