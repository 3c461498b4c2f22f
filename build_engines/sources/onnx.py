"""A finished ONNX graph from a package or a local file."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from build_engines.artifact import Artifact, BuildFailure, Order, Step, WeightsOrigin, known
from build_engines.catalog.entry import OnnxSource, PackageWeights, at_resolution
from build_engines.decoders.form import Decoder, Raw, Size
from build_engines.decoders.table import decoder
from build_engines.graph_folding import readable
from build_engines.graph_network import GraphNetwork
from build_engines.graph_opset import lifted
from build_engines.graph_shapes import real_inputs, shapes, without_weights
from build_engines.sources import label_sets, onnx_file, package
from contract.card import Figures
from contract.preprocess import PreprocessSpec


def load(artifact: Artifact) -> Artifact:
    """Read the graph, and find the decoder that makes the task's tensors of its raw outputs.

    Raises:
        BuildFailure: the file is no ONNX graph, has not one image input of the size and layout that the entry says,
            or has outputs that the entry's decoder cannot take.
    """
    order = artifact.order
    source = order.entry.source
    if not isinstance(source, OnnxSource):
        raise TypeError(f"{order.entry.name} is no ONNX source")
    path, origin = _locate(order)
    spec = known(order.entry.preprocess)
    if order.resolution is not None:
        spec = at_resolution(spec, order.resolution)
    model = onnx_file.arranged(onnx_file.read(path), source, spec, path.name)
    finish = decoder(
        source.outputs, _raw_outputs(model, spec, path.name), order.entry.task, Size(spec.height, spec.width)
    )
    return artifact.having(
        network=GraphNetwork(model, finish),
        output_names=finish.output_names,
        preprocess=spec,
        normalisation=order.entry.normalisation,
        labels=_labels(order, finish),
        origin=origin,
        figures=Figures(parameters=_parameters(model)),
    )


STEP = Step(
    "source",
    load,
    requires=(),
    ensures=("network", "output_names", "preprocess", "normalisation", "origin", "figures"),
)


def _locate(order: Order) -> tuple[Path, WeightsOrigin]:
    if order.weights == "random":
        raise BuildFailure("an ONNX source is its weights; there is no random form of it", "build it without --weights")
    if isinstance(order.weights, Path):
        if not order.weights.is_file():
            raise BuildFailure(f"there is no file {order.weights}", "give the path of an ONNX file")
        return order.weights, WeightsOrigin(order.weights.name, package.digest(order.weights), trained=True)
    if not isinstance(order.entry.weights, PackageWeights):
        raise BuildFailure(f"{order.entry.name} does not say where its ONNX file is", "give --weights its path")
    return package.locate(order.entry.weights)


def _raw_outputs(model: onnx.ModelProto, spec: PreprocessSpec, file: str) -> tuple[Raw, ...]:
    """The outputs' shapes for one image; BuildFailure where they cannot be told."""
    (entrance,) = real_inputs(model.graph)
    try:
        size = (1, 3, spec.height, spec.width)
        found = shapes(readable(without_weights(lifted(model)), entrance.name, size), entrance.name, size)
    except onnx.shape_inference.InferenceError as error:
        raise BuildFailure(
            f"{file} cannot take {spec.height} x {spec.width}: {error}", "choose another size"
        ) from error
    raw = []
    for output in model.graph.output:
        shape = found.get(output.name)
        if shape is None or None in shape:
            raise BuildFailure(
                f"the shape of {output.name} in {file} cannot be told for an input of {spec.height} x {spec.width}",
                "export it anew with a fixed height and width, or simplify it with onnxslim",
            )
        kind = helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        raw.append(Raw(output.name, tuple(length or 0 for length in shape), np.dtype(kind)))
    return tuple(raw)


def _labels(order: Order, finish: Decoder) -> tuple[str, ...]:
    """The labels as given, or those of the known set with as many classes; BuildFailure where the numbers differ."""
    wanted, classes = order.entry.labels, finish.classes
    if wanted is None:
        return ()
    if not isinstance(wanted, str):
        if classes is not None and len(wanted) != classes:
            raise BuildFailure(f"there are {len(wanted)} labels for {classes} classes", "give one label a class")
        return wanted
    labels = label_sets.labels_for(wanted, classes) if classes is not None else ()
    if not labels:
        number = "an unknown number of" if classes is None else classes
        raise BuildFailure(
            f"the graph has {number} classes, and no version of {wanted} has as many",
            "list the labels, one a class",
        )
    return labels


def _parameters(model: onnx.ModelProto) -> int:
    """Floating-point elements of the graph's constants: its weights, and a few scalars."""
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return sum(int(np.prod(item.dims)) for item in model.graph.initializer if item.data_type in floats)
