"""A finished ONNX graph from a package or a local file."""

from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has no types of its own

from build_engines.artifact import Artifact, BuildFailure, Order, Step, WeightsOrigin, known
from build_engines.catalog.entry import PackageWeights, at_resolution
from build_engines.sources import package
from contract.card import Figures
from contract.task import Task

_OUTPUTS = {Task.REGIONS: ("probability",)}


def load(artifact: Artifact) -> Artifact:
    """Read the graph and check that it has one input and one output, as the entry's task needs."""
    order = artifact.order
    path, origin = _locate(order)
    model = _read(path)
    names = _OUTPUTS[order.entry.task]
    if len(model.graph.input) != 1 or len(model.graph.output) != len(names):
        raise BuildFailure(f"{path.name} should have one input and {len(names)} output", "give another ONNX file")
    preprocess = known(order.entry.preprocess)
    return artifact.having(
        network=model,
        output_names=names,
        preprocess=preprocess if order.resolution is None else at_resolution(preprocess, order.resolution),
        normalisation=order.entry.normalisation,
        labels=(),
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
            raise BuildFailure(f"there is no file {order.weights}", "give --weights the path of an ONNX file")
        return order.weights, WeightsOrigin(order.weights.name, package.digest(order.weights), trained=True)
    if not isinstance(order.entry.weights, PackageWeights):
        raise TypeError(f"{order.entry.name} names no package")
    return package.locate(order.entry.weights)


def _read(path: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError) as error:
        raise BuildFailure(f"{path.name} is not a valid ONNX file: {error}", "check the file") from error
    return model


def _parameters(model: onnx.ModelProto) -> int:
    """Floating-point elements of the graph's constants: its weights, and a few scalars."""
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
    return sum(int(np.prod(item.dims)) for item in model.graph.initializer if item.data_type in floats)
