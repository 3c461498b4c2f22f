"""Front, source and decoder become one graph, all of one opset."""

import onnx
from onnx import compose, helper

from build_engines.artifact import Artifact, BuildFailure, Step, known
from build_engines.graft.batch import with_free_batch
from build_engines.graft.ends import PIXELS, RAW, back, front
from build_engines.graph_network import GraphNetwork
from build_engines.graph_opset import IR_VERSION, OPSET, lifted, opset_of
from build_engines.graph_shapes import real_inputs

_INNER = "source_"


def graft(artifact: Artifact) -> Artifact:
    """Put both ends on the source's graph, with a dynamic batch and the size that preprocess makes.

    Raises:
        BuildFailure: the graph cannot be lifted to the ends' opset, freed of its batch size, or joined.
    """
    network = artifact.network
    if not isinstance(network, GraphNetwork):
        raise TypeError("only ONNX networks are grafted")
    spec = known(artifact.preprocess)
    inner = with_free_batch(lifted(network.model), (3, spec.height, spec.width))
    opset = opset_of(inner)
    inner = compose.add_prefix(inner, _INNER)
    ends = front(known(artifact.normalisation), spec.height, spec.width)
    entrance = helper.make_model(ends, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    try:
        joined = compose.merge_models(entrance, inner, [(PIXELS, real_inputs(inner.graph)[0].name)])
        joined = _finished(joined, network, artifact.output_names, opset)
        inferred = onnx.shape_inference.infer_shapes(joined, strict_mode=True, data_prop=True)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise BuildFailure(f"the graph cannot take a picture of this size: {error}", "choose another size") from error
    # No batch size is traced here; 1 is what most source graphs were exported with.
    return artifact.having(model=inferred, trace_batch_size=1)


STEP = Step(
    "export",
    graft,
    requires=("network", "output_names", "preprocess", "normalisation"),
    ensures=("model", "trace_batch_size"),
)


def _finished(joined: onnx.ModelProto, network: GraphNetwork, names: tuple[str, ...], opset: int) -> onnx.ModelProto:
    """The joined graph with the task's tensors as its outputs."""
    raw = tuple(joined.graph.output)
    if network.finish is None:
        nodes = [helper.make_node("Identity", [value.name], [name]) for value, name in zip(raw, names, strict=True)]
        joined.graph.node.extend(nodes)
        for value, name in zip(raw, names, strict=True):
            value.name = name
        return joined
    decoder = back(network.finish, raw, names)
    if opset > OPSET:
        decoder = onnx.version_converter.convert_version(decoder, opset)
    decoder.ir_version = IR_VERSION
    taken = {value.name for value in decoder.graph.input}
    pairs = [(value.name, f"{RAW}{index}") for index, value in enumerate(raw) if f"{RAW}{index}" in taken]
    return compose.merge_models(joined, decoder, pairs, outputs=list(names))
