"""How large the activations of a graph become, seen on a few inputs, so that fp16 is kept from what it cannot hold."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from build_engines.artifact import BuildFailure
from build_engines.onnx_session import ENGINE_ERRORS, open_session, said
from build_engines.optimize.graph.mixed_precision import FOLLOWERS, PRODUCTS, float_tensors

_PREFIX = "range of "
_REMEDY = "compile it in fp32 or bf16, which need no such measurement"


def activation_ranges(model: onnx.ModelProto, images: npt.NDArray[Any]) -> dict[str, float]:
    """The largest absolute value of every fp32 tensor that a low layer could take or give, over uint8 [K,H,W,3].

    The images run one by one; ONNX Runtime computes the largest values beside the graph, so that nothing else is kept.
    BuildFailure where it cannot.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    graph, floats = watched.graph, float_tensors(model)
    touched = {
        name for node in graph.node if node.op_type in PRODUCTS | FOLLOWERS for name in (*node.input, *node.output)
    }
    names = [name for node in graph.node for name in node.output if name in floats & touched]
    for name in names:
        graph.node.append(helper.make_node("Abs", [name], [f"size of {name}"]))
        graph.node.append(helper.make_node("ReduceMax", [f"size of {name}"], [_PREFIX + name], keepdims=0))
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(_PREFIX + name, TensorProto.FLOAT, []) for name in names)
    if not names:
        return {}
    try:
        session = open_session(watched.SerializeToString(), quiet=True)
        entrance = session.get_inputs()[0].name
        runs = [session.run(None, {entrance: images[slot : slot + 1]}) for slot in range(len(images))]
    except ENGINE_ERRORS as error:
        raise BuildFailure(f"the graph's activations cannot be measured: {said(error)}", _REMEDY) from error
    largest = np.max([np.asarray(run, np.float64) for run in runs], axis=0)
    return {name: float(value) for name, value in zip(names, largest, strict=True)}
