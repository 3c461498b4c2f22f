"""An ONNX file → a graph that takes pixels f32 [B,3,H,W], or a sentence that says why not."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, compose, helper, numpy_helper

from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import OnnxSource
from build_engines.graph_shapes import dims, real_inputs, set_dims
from contract.preprocess import PreprocessSpec

_KNOWN_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "ai.onnx.preview.training"}
_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
_INPUT_TYPES = _FLOATS | {TensorProto.UINT8}
_LEAST_IR_VERSION = 4
"""From which on a weight need not be an input too."""
_AXES = 4


def read(path: Path) -> onnx.ModelProto:
    """The graph with all its weights; BuildFailure for a file that is none, or an operator that nobody knows."""
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        raise BuildFailure(f"{path.name} keeps its weights in another file: {error}", "put it beside it") from error
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not model.graph.node:
        raise BuildFailure(f"{path.name} is not an ONNX file: it holds no graph", "check the file")
    _require_known_operators(model, path)
    return model


def arranged(model: onnx.ModelProto, source: OnnxSource, spec: PreprocessSpec, file: str) -> onnx.ModelProto:
    """The graph with a transposition or casts in front and behind, where its layout and types want them.

    Raises:
        BuildFailure: more inputs than one, an input that is no batch of images of this layout, or of another size
            than ``preprocess`` makes; the reason gives the shapes.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    _fix(plain.graph, source.constants, file)
    entrance = _only_input(plain, file)
    _require_image(entrance, source, spec, file)
    _drop_weights_from_inputs(plain.graph, entrance)
    kind = entrance.type.tensor_type.elem_type
    if source.layout == "nchw" and kind == TensorProto.FLOAT:
        return _with_float_outputs(plain)
    nodes, last = [], "planes"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [last], ["cast"], to=kind))
        last = "cast"
    if source.layout == "nhwc":
        nodes.append(helper.make_node("Transpose", [last], ["rows"], perm=[0, 2, 3, 1]))
        last = "rows"
    shape = dims(entrance) or ()
    planes = _to_planes(tuple(shape), source)
    front = helper.make_graph(
        nodes,
        "arrange",
        [helper.make_tensor_value_info("planes", TensorProto.FLOAT, planes)],
        [helper.make_tensor_value_info(last, kind, shape)],
    )
    options = {"opset_imports": list(plain.opset_import), "ir_version": plain.ir_version}
    entry = helper.make_model(compose.add_prefix_graph(front, "arrange_"), **options)
    joined = compose.merge_models(entry, plain, [(f"arrange_{last}", entrance.name)])
    return _with_float_outputs(joined)


def _unreadable(path: Path, error: Exception) -> BuildFailure:
    words = str(error).strip().splitlines() or [type(error).__name__]
    reason = words[0]
    if "No Op registered for" in reason or "is not a registered function/op" in reason:
        return BuildFailure(
            f"{path.name} uses an operator that ONNX does not have: {reason}",
            "export it anew with operators of ONNX (a plug-in's operators run only beside that plug-in)",
        )
    return BuildFailure(f"{path.name} is not a valid ONNX file: {reason}", "check that the file is whole")


def _require_known_operators(model: onnx.ModelProto, path: Path) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    strange = sorted(
        {
            f"{node.domain}::{node.op_type}"
            for node in model.graph.node
            if node.domain not in _KNOWN_DOMAINS and (node.domain, node.op_type) not in own
        }
    )
    if strange:
        raise BuildFailure(
            f"{path.name} uses operators that ONNX Runtime does not have: {', '.join(strange)}",
            "export it anew with operators of ONNX (a plug-in's operators run only beside that plug-in)",
        )


def _fix(graph: onnx.GraphProto, constants: Mapping[str, object], file: str) -> None:
    """Give inputs their values for good."""
    inputs = {value.name: value for value in real_inputs(graph)}
    for name, content in constants.items():
        if name not in inputs:
            raise BuildFailure(f"{file} has no input {name}; it has {', '.join(inputs)}", "mend constants in the card")
        kind = helper.tensor_dtype_to_np_dtype(inputs[name].type.tensor_type.elem_type)
        wanted = dims(inputs[name]) or ()
        try:
            values = np.asarray(content, kind)
        except (TypeError, ValueError) as error:
            raise BuildFailure(f"{name} cannot be {content}: {error}", "mend constants in the card") from error
        if len(values.shape) != len(wanted) or any(
            length not in {None, actual} for length, actual in zip(wanted, values.shape, strict=True)
        ):
            raise BuildFailure(
                f"{file} takes {_described(inputs[name])}, and the card gives it {list(values.shape)}",
                "mend constants in the card: one pair of brackets for each axis",
            )
        graph.initializer.append(numpy_helper.from_array(values, name))


def _only_input(model: onnx.ModelProto, file: str) -> onnx.ValueInfoProto:
    inputs = real_inputs(model.graph)
    if len(inputs) != 1:
        found = ", ".join(map(_described, inputs)) or "none"
        raise BuildFailure(
            f"{file} should have one input, an image; it has {found}",
            "give the others values in the card, e.g. constants: {orig_target_sizes: [[640, 640]]}",
        )
    return inputs[0]


def _described(value: onnx.ValueInfoProto) -> str:
    axes = value.type.tensor_type.shape.dim
    lengths = [axis.dim_param or (str(axis.dim_value) if axis.HasField("dim_value") else "?") for axis in axes]
    return f"{value.name} [{', '.join(lengths)}]"


def _require_image(entrance: onnx.ValueInfoProto, source: OnnxSource, spec: PreprocessSpec, file: str) -> None:
    kind = entrance.type.tensor_type.elem_type
    if kind not in _INPUT_TYPES:
        name = TensorProto.DataType.Name(kind).lower()
        raise BuildFailure(f"{file} takes {_described(entrance)} of {name}", "only floats and uint8 can be pixels")
    form = "[B, 3, H, W]" if source.layout == "nchw" else "[B, H, W, 3]"
    shape = dims(entrance) or ()
    _, channels, height, width = _to_planes(shape, source) if len(shape) == _AXES else (None, 0, None, None)
    if channels not in {None, 3}:
        fitting = len(shape) == _AXES and 3 in (shape[1], shape[3])
        other = "nhwc" if source.layout == "nchw" else "nchw"
        raise BuildFailure(
            f"{file} takes {_described(entrance)}, which is not {form} as layout: {source.layout} says",
            f"say layout: {other}" if fitting else "only networks that take one colour image can be imported",
        )
    if height not in {None, spec.height} or width not in {None, spec.width}:
        raise BuildFailure(
            f"{file} takes {_described(entrance)}, but preprocess makes {spec.height} x {spec.width} (height x width)",
            f"say height: {height or spec.height} and width: {width or spec.width} under preprocess",
        )


def _to_planes(shape: tuple[int | None, ...], source: OnnxSource) -> tuple[int | None, ...]:
    """A shape of the source's layout as [B,C,H,W]."""
    if source.layout == "nchw":
        return shape
    batch, height, width, channels = shape
    return batch, channels, height, width


def _drop_weights_from_inputs(graph: onnx.GraphProto, entrance: onnx.ValueInfoProto) -> None:
    kept = onnx.ValueInfoProto()
    kept.CopyFrom(entrance)
    del graph.input[:]
    graph.input.append(kept)


def _with_float_outputs(model: onnx.ModelProto) -> onnx.ModelProto:
    """Half- and double-precision outputs are cast, so that every decoder sees f32."""
    model.ir_version = max(model.ir_version, _LEAST_IR_VERSION)
    for output in model.graph.output:
        kind = output.type.tensor_type.elem_type
        if kind in _FLOATS - {TensorProto.FLOAT}:
            inner, outer = output.name, f"{output.name}_f32"
            model.graph.node.append(helper.make_node("Cast", [inner], [outer], to=TensorProto.FLOAT))
            shape = dims(output)
            output.name = outer
            output.type.tensor_type.elem_type = TensorProto.FLOAT
            if shape is not None:
                set_dims(output, tuple(length if length is not None else "?" for length in shape))
    return model
