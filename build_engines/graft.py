"""An ONNX network gets the same ends as an exported one: pixels in, the task's tensor out.

In front: cast, NCHW, channel order, normalisation. Behind: the map loses its channel axis. Only operators whose form
never changed between opsets are used, so the graph keeps its own opset.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from build_engines.artifact import INPUT_NAME, Artifact, BuildFailure, Step, known
from build_engines.catalog.entry import Normalisation

_INNER = "source_"
_BATCH = "batch"


def graft(artifact: Artifact) -> Artifact:
    """Put both ends on the source's graph, with a dynamic batch and the size that preprocess makes."""
    source, (output,) = artifact.network, artifact.output_names
    if not isinstance(source, onnx.ModelProto):
        raise TypeError("only ONNX networks are grafted")
    spec = known(artifact.preprocess)
    ends = _ends(source, known(artifact.normalisation), spec.height, spec.width, output)
    inner = _prefixed(source)
    front, back = ends
    try:
        joined = onnx.compose.merge_models(front, inner, [("normalised", _INNER + source.graph.input[0].name)])
        joined = onnx.compose.merge_models(joined, back, [(_INNER + source.graph.output[0].name, "map")])
        inferred = onnx.shape_inference.infer_shapes(joined, strict_mode=True, data_prop=True)
    except (ValueError, onnx.shape_inference.InferenceError) as error:
        raise BuildFailure(f"the graph cannot take a picture of this size: {error}", "choose another size") from error
    # No batch size is traced here; 1 is what most source graphs were exported with.
    return artifact.having(model=inferred, trace_batch_size=1)


STEP = Step(
    "export",
    graft,
    requires=("network", "output_names", "preprocess", "normalisation"),
    ensures=("model", "trace_batch_size"),
)


def _prefixed(source: onnx.ModelProto) -> onnx.ModelProto:
    inner = onnx.compose.add_prefix(source, _INNER)
    # Shapes are inferred anew: the source's were those of another input size.
    del inner.graph.value_info[:]
    return inner


def _ends(
    source: onnx.ModelProto, normalisation: Normalisation, height: int, width: int, output: str
) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    order = [0, 1, 2] if normalisation.channels == "rgb" else [2, 1, 0]
    mean, std = (
        np.asarray(values, np.float32).reshape(1, 3, 1, 1) * 255 for values in (normalisation.mean, normalisation.std)
    )
    front = helper.make_graph(
        [
            helper.make_node("Transpose", [INPUT_NAME], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Gather", ["planes", "channel_order"], ["ordered"], axis=1),
            helper.make_node("Cast", ["ordered"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["floats", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "scale"], ["normalised"]),
        ],
        "pixels",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [_BATCH, height, width, 3])],
        [helper.make_tensor_value_info("normalised", TensorProto.FLOAT, [_BATCH, 3, height, width])],
        [
            numpy_helper.from_array(np.asarray(order, np.int64), "channel_order"),
            numpy_helper.from_array(mean, "mean"),
            numpy_helper.from_array(1 / std, "scale"),
        ],
    )
    back = helper.make_graph(
        # A scalar index takes the axis away.
        [helper.make_node("Gather", ["map", "first"], [output], axis=1)],
        "task",
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [_BATCH, 1, "h", "w"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [_BATCH, "h", "w"])],
        [numpy_helper.from_array(np.asarray(0, np.int64), "first")],
    )
    options = {"opset_imports": list(source.opset_import), "ir_version": source.ir_version}
    return helper.make_model(front, **options), helper.make_model(back, **options)
