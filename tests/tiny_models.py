"""Real models small enough to be made in a moment: ONNX graphs with the contract's tensors, written as versions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from build_engines.triton_twin import TWIN
from contract.card import Certificate, CertificateCheck, Figures, ModelCard, Platform, Provenance
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.repository import CARD, GOLDEN, LABELS, Repository
from contract.task import Task
from contract.tensors import DType, TensorSpec
from contract.triton import to_config

SIDE = 8
COLOURS = ("red", "green", "blue")
A_SPEC = PreprocessSpec(height=SIDE, width=SIDE, resize=Resize.STRETCH, interpolation=Interpolation.BILINEAR)

_INPUT = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])


def colour_model(sharpness: float = 8.0) -> onnx.ModelProto:
    """Classify: the softmax over the mean of each colour channel, times ``sharpness``."""
    return _model(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "rows_and_columns"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "scale"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        {"rows_and_columns": np.int64([1, 2]), "scale": np.float32(sharpness / 255)},
    )


def wide_colour_model() -> onnx.ModelProto:
    """What `colour_model` does, over pixels that are repeated to 200 MB an image on the way."""
    return _model(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Tile", ["pixels", "repeats"], ["many"]),
            helper.make_node("ReduceMean", ["many", "rows_and_columns"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "scale"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=-1),
        ],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 3])],
        {
            "repeats": np.int64([1, 512, 512, 1]),
            "rows_and_columns": np.int64([1, 2]),
            "scale": np.float32(8 / 255),
        },
    )


def embedding_model() -> onnx.ModelProto:
    """Embed: the mean of each colour channel, in 0…1."""
    return _model(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "rows_and_columns"], ["mean"], keepdims=0),
            helper.make_node("Mul", ["mean", "scale"], ["embedding"]),
        ],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 3])],
        {"rows_and_columns": np.int64([1, 2]), "scale": np.float32(1 / 255)},
    )


def write_version(
    root: Path,
    name: str,
    version: int = 1,
    task: Task = Task.CLASSIFY,
    model: onnx.ModelProto | None = None,
    **changes: Any,
) -> ModelCard:
    """Write a complete version with an honest card and golden outputs; ``changes`` are fields of the card."""
    model = model or (embedding_model() if task is Task.EMBED else colour_model())
    output = model.graph.output[0].name
    spec = changes.get("preprocess", A_SPEC)
    card = ModelCard(
        **{
            "name": name,
            "version": version,
            "task": task,
            "input": TensorSpec(name="images", dtype=DType.UINT8, shape=spec.input_shape),
            "outputs": (TensorSpec(name=output, dtype=DType.FLOAT32, shape=(3,)),),
            "preprocess": spec,
            "labels": COLOURS if task in (Task.CLASSIFY, Task.CLASSIFY_VIDEO) else (),
            "batch_sizes": (1, 2, 3, 4),
            "provenance": _PROVENANCE,
            "figures": Figures(parameters=0),
            "certificate": _CERTIFICATE,
            **changes,
        }
    )
    repository = Repository(root)
    images = np.random.default_rng(0).integers(0, 256, (2, *spec.input_shape), np.uint8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with repository.writing(name, version) as folder:
        (folder / card.platform.filename).write_bytes(model.SerializeToString())
        if card.platform is Platform.PYTHON:
            (folder / TWIN.name).write_bytes(TWIN.read_bytes())
        (folder / CARD).write_text(card.model_dump_json())
        (folder / LABELS).write_text("\n".join(card.labels))
        names = [value.name for value in model.graph.output]
        golden = dict(zip((f"output.{name}" for name in names), session.run(names, {"images": images}), strict=True))
        np.savez(folder / GOLDEN, images=images, **golden)
    repository.write_config(name, to_config(card))
    return card


def as_twins(root: Path) -> None:
    """Turn every version of a repository into one for Triton's Python backend, which runs the same ONNX file."""
    repository = Repository(root)
    for name in repository.models():
        for version in repository.versions(name):
            card = repository.read_card(name, version).model_copy(update={"platform": Platform.PYTHON})
            repository.rewrite_card(name, version, card)
            repository.put_file(name, version, TWIN.name, TWIN.read_bytes())
            repository.write_config(name, to_config(card))


def _model(
    nodes: list[onnx.NodeProto], outputs: list[onnx.ValueInfoProto], constants: dict[str, Any]
) -> onnx.ModelProto:
    initialisers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [_INPUT], outputs, initialisers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PROVENANCE = Provenance(
    source="tests", weights="none", trained=True, licence="Apache-2.0", built_at=_NOW, tools={"onnx": onnx.__version__}
)
_CERTIFICATE = Certificate(
    passed=True,
    tolerance=1e-3,
    trace_batch_size=2,
    checks=tuple(
        CertificateCheck(batch_size=size, inputs="noise", max_relative_error=0, agreement=1, passed=True)
        for size in (1, 2, 3, 4)
    ),
    reference="itself",
    engine="onnxruntime",
    verified_at=_NOW,
)
