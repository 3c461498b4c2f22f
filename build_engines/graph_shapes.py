"""The shapes of a graph's tensors for inputs of one size, found without running it."""

import onnx
from onnx import TypeProto, helper

Shape = tuple[int | None, ...] | None
"""None for an axis, or for the whole, that cannot be told."""

SMALL = 64
"""Constants of so many elements may be shapes; larger ones are weights, whose values tell nothing of shapes."""


def real_inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The inputs that a caller must give; old graphs list their weights among them."""
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def dims(value: onnx.ValueInfoProto) -> Shape:
    """The shape that is written beside a tensor's name."""
    return _dims(value.type)


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A light copy for inference: large constants become inputs of the same shape."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    graph = light.graph
    names = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if tensor.name not in names and not _tells_shapes(tensor):
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    kept = [tensor for tensor in graph.initializer if _tells_shapes(tensor)]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return light


def set_dims(value: onnx.ValueInfoProto, shape: tuple[int | str, ...]) -> None:
    """Write a shape beside a tensor's name."""
    kind = value.type.tensor_type.elem_type
    value.type.CopyFrom(helper.make_tensor_type_proto(kind, shape))


def forget_shapes(graph: onnx.GraphProto) -> None:
    """Drop what is written of inner and of output shapes, which held for another input."""
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")


def shapes(light: onnx.ModelProto, name: str, size: tuple[int, ...]) -> dict[str, Shape]:
    """The shapes of all tensors, by name, when the input ``name`` has that size."""
    sized = onnx.ModelProto()
    sized.CopyFrom(light)
    forget_shapes(sized.graph)
    set_dims(next(value for value in sized.graph.input if value.name == name), size)
    graph = onnx.shape_inference.infer_shapes(sized, data_prop=True).graph
    found = {value.name: _dims(value.type) for value in (*graph.input, *graph.value_info, *graph.output)}
    return found | {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}


def _tells_shapes(tensor: onnx.TensorProto) -> bool:
    count = 1
    for length in tensor.dims:
        count *= length
    return count <= SMALL


def _dims(kind: TypeProto) -> Shape:
    if not kind.tensor_type.HasField("shape"):
        return None
    return tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in kind.tensor_type.shape.dim)
