"""Finished ONNX graphs: read, checked, given both ends, and verified."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from build_engines.artifact import Order, StepFailed
from build_engines.catalog.entry import Normalisation, OnnxSource, PackageWeights
from build_engines.pipeline import build
from build_engines.verify import EngineRunner
from contract.task import Task
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import UNEVEN, a_spec, an_entry, an_order

WEIGHTS = np.float32([0.7, 0.2, 0.1]).reshape(1, 3, 1, 1)


def a_detector(outputs: int = 1, *, dynamic: bool = True, opset: int = 13) -> onnx.ModelProto:
    """A dense map at half the size: the sigmoid of a weighted sum of the channels, first, second, third."""
    batch = "n" if dynamic else 1
    nodes = [
        helper.make_node("Conv", ["x", "weights"], ["sum"], strides=[2, 2]),
        helper.make_node("Sigmoid", ["sum"], ["map0"]),
        *[helper.make_node("Identity", ["map0"], [f"map{index}"]) for index in range(1, outputs)],
    ]
    if not dynamic:
        nodes[1:2] = [
            helper.make_node("Reshape", ["sum", "frozen"], ["one"]),
            helper.make_node("Sigmoid", ["one"], ["map0"]),
        ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, "h", "w"])],
        [helper.make_tensor_value_info(f"map{i}", TensorProto.FLOAT, [batch, 1, "oh", "ow"]) for i in range(outputs)],
        [numpy_helper.from_array(WEIGHTS, "weights")]
        + ([] if dynamic else [numpy_helper.from_array(np.int64([1, 1, 8, 8]), "frozen")]),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def ordering(root: Path, model: onnx.ModelProto | bytes, normalisation: Normalisation = UNEVEN) -> Order:
    """An order for a local ONNX file of 16 pixels."""
    path = root / "detector.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    entry = an_entry(
        task=Task.REGIONS,
        source=OnnxSource(),
        weights=PackageWeights(distribution="none", file="none"),
        preprocess=a_spec(),
        normalisation=normalisation,
        labels=None,
    )
    return an_order(root / "repository", entry, weights=path, resolution=None)


def test_the_steps_of_an_onnx_source(tmp_path: Path) -> None:
    """An ONNX file becomes a version whose card names the file, its weights' number and its digest."""
    built = build(ordering(tmp_path, a_detector()), Silent())
    card = built.order.repository.read_card("small", 1)
    assert card.provenance.source == "onnx:detector.onnx"
    assert len(card.provenance.weights_sha256) == 64
    assert card.figures.parameters == 3
    assert [(output.name, output.shape) for output in card.outputs] == [("probability", (8, 8))]
    assert card.batch_sizes == (1, 2, 3, 4)
    assert card.certificate.trace_batch_size == 1


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("opset", [11, 13, 18])
def test_pixels_reach_the_network_in_its_order(channels: str, opset: int, tmp_path: Path) -> None:
    """The grafted ends normalise in the network's channel order, as NumPy computes the whole from the pixels."""
    normalisation = UNEVEN.model_copy(update={"channels": channels})
    built = build(ordering(tmp_path, a_detector(opset=opset), normalisation), Silent())
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    ordered = images[..., ::-1] if channels == "bgr" else images
    pixels = (ordered / 255 - np.array(UNEVEN.mean)) / np.array(UNEVEN.std)
    expected = 1 / (1 + np.exp(-(pixels[:, ::2, ::2] @ WEIGHTS.reshape(3))))
    answered = EngineRunner(built.path / "model.onnx").run(images)["probability"]
    np.testing.assert_allclose(answered, expected, atol=1e-5)


def test_a_resolution_may_be_chosen(tmp_path: Path) -> None:
    """A graph that takes any size is built for the one asked for."""
    built = build(replace(ordering(tmp_path, a_detector()), resolution=32), Silent())
    assert built.order.repository.read_card("small", 1).input.shape == (32, 32, 3)


def failing(tmp_path: Path, model: onnx.ModelProto | bytes) -> StepFailed:
    """The failure of building this file, which leaves the repository empty."""
    order = ordering(tmp_path, model)
    with pytest.raises(StepFailed) as failure:
        build(order, Silent())
    assert list(order.repository.root.iterdir()) == []
    return failure.value


def test_a_frozen_graph_is_refused(tmp_path: Path) -> None:
    """A graph that was exported for one image cannot take batches, and that is found before a version appears."""
    assert failing(tmp_path, a_detector(dynamic=False)).step in {"export", "verify"}


@pytest.mark.parametrize("content", [b"", b"hello", a_detector().SerializeToString()[:-60]])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """What is not a whole ONNX file fails in the step source under the file's name."""
    failure = failing(tmp_path, content)
    assert failure.step == "source"
    assert "detector.onnx" in failure.reason


def test_a_graph_of_another_form_is_refused(tmp_path: Path) -> None:
    """A graph with two outputs is none of the task's."""
    assert "one input and 1 output" in failing(tmp_path, a_detector(outputs=2)).reason


def test_there_is_no_random_graph(tmp_path: Path) -> None:
    """An ONNX source cannot be built with random weights, and says so."""
    order = replace(ordering(tmp_path, a_detector()), weights="random")
    with pytest.raises(StepFailed, match="no random form"):
        build(order, Silent())
