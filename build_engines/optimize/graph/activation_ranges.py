"""How large the activations of a graph become, seen on a few inputs, so that fp16 is kept from what it cannot hold."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper

from build_engines.optimize.graph.mixed_precision import FOLLOWERS, PRODUCTS, float_tensors

_PREFIX = "range of "


def activation_ranges(model: onnx.ModelProto, images: npt.NDArray[Any]) -> dict[str, float]:
    """The largest absolute value of every fp32 tensor that could become low, over images uint8 [K,H,W,3].

    The images run one by one; ONNX Runtime computes the largest values beside the graph, so that nothing else is kept.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph, floats = watched.graph, float_tensors(model)
    made = [name for node in graph.node if node.op_type in PRODUCTS | FOLLOWERS for name in node.output]
    names = [name for name in made if name in floats]
    for name in names:
        graph.node.append(helper.make_node("Abs", [name], [f"size of {name}"]))
        graph.node.append(helper.make_node("ReduceMax", [f"size of {name}"], [_PREFIX + name], keepdims=0))
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(_PREFIX + name, TensorProto.FLOAT, []) for name in names)
    if not names:
        return {}
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    entrance = session.get_inputs()[0].name
    runs = [session.run(None, {entrance: images[slot : slot + 1]}) for slot in range(len(images))]
    largest = np.max([np.asarray(run, np.float64) for run in runs], axis=0)
    return {name: float(value) for name, value in zip(names, largest, strict=True)}
