"""Finished ONNX graphs: read, checked, given both ends, and verified."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from build_engines.artifact import Artifact, Order, StepFailed
from build_engines.catalog.decoding import Rename, Step
from build_engines.catalog.entry import Normalisation, OnnxSource
from build_engines.pipeline import build
from build_engines.verify import EngineRunner
from contract.task import Task
from tests.build_engines.conftest import Silent
from tests.build_engines.onnx_files import WEIGHTS, a_detector
from tests.build_engines.orders import UNEVEN, a_spec, an_entry, an_order


def ordering(root: Path, model: onnx.ModelProto | bytes, normalisation: Normalisation = UNEVEN, **source: Any) -> Order:
    """An order for a local ONNX file of 16 pixels."""
    path = root / "detector.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    entry = an_entry(
        task=Task.REGIONS,
        source=OnnxSource(**source),
        preprocess=a_spec(),
        normalisation=normalisation,
        labels=None,
    )
    return an_order(root / "repository", entry, weights=path, resolution=None)


def answers(built: Artifact, images: np.ndarray) -> np.ndarray:
    """What the written version answers to pixels uint8 [B,16,16,3]."""
    return EngineRunner(built.path / "model.onnx").run(images)["probability"]


def some_pixels() -> np.ndarray:
    """Five images of noise, uint8 [5,16,16,3]."""
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


def weighted(images: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """What the network's first layer gives, f64 [B,8,8], as NumPy computes it from the pixels."""
    ordered = images[..., ::-1] if normalisation.channels == "bgr" else images
    pixels = (ordered / 255 - np.array(normalisation.mean)) / np.array(normalisation.std)
    return pixels[:, ::2, ::2] @ WEIGHTS.reshape(3)


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
@pytest.mark.parametrize("opset", [9, 13, 21])
def test_pixels_reach_the_network_in_its_order(channels: str, opset: int, tmp_path: Path) -> None:
    """The grafted ends normalise in the network's channel order, as NumPy computes the whole from the pixels."""
    normalisation = UNEVEN.model_copy(update={"channels": channels})
    built = build(ordering(tmp_path, a_detector(opset=opset), normalisation), Silent())
    expected = 1 / (1 + np.exp(-weighted(some_pixels(), normalisation)))
    np.testing.assert_allclose(answers(built, some_pixels()), expected, atol=1e-5)


def test_channels_last(tmp_path: Path) -> None:
    """A graph that takes [B, H, W, 3] answers as one that takes [B, 3, H, W]."""
    model = a_detector(shape=("n", 16, 16, 3))
    model.graph.node[0].input[0] = "planes"
    model.graph.node.insert(0, helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]))
    built = build(ordering(tmp_path, model, layout="nhwc"), Silent())
    expected = 1 / (1 + np.exp(-weighted(some_pixels(), UNEVEN)))
    np.testing.assert_allclose(answers(built, some_pixels()), expected, atol=1e-5)


def test_half_precision_pixels(tmp_path: Path) -> None:
    """A graph that takes float16 is given them, and its answers are as near as float16 is."""
    model = a_detector(kind=TensorProto.FLOAT16)
    model.graph.node[0].input[0] = "wide"
    model.graph.node.insert(0, helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT))
    built = build(ordering(tmp_path, model), Silent())
    expected = 1 / (1 + np.exp(-weighted(some_pixels(), UNEVEN)))
    np.testing.assert_allclose(answers(built, some_pixels()), expected, atol=1e-2)


def test_a_missing_activation(tmp_path: Path) -> None:
    """A graph that gives logits gets its sigmoid from the card."""
    step = Step(activation="sigmoid", transpose=(0, 2, 3, 1))
    model = a_detector(helper.make_node("Identity", ["sum"], ["map"]))
    built = build(ordering(tmp_path, model, outputs=Rename(tensors={"probability": step})), Silent())
    expected = 1 / (1 + np.exp(-weighted(some_pixels(), UNEVEN)))
    np.testing.assert_allclose(answers(built, some_pixels()), expected, atol=1e-5)


def test_another_input_becomes_a_constant(tmp_path: Path) -> None:
    """A second input takes its value from the card, for every image of a batch."""
    second = helper.make_tensor_value_info("factor", TensorProto.FLOAT, ["n", 1])
    nodes = [
        helper.make_node("Unsqueeze", ["factor", "two"], ["wide"]),
        helper.make_node("Mul", ["sum", "wide"], ["map"]),
    ]
    model = a_detector(*nodes, inputs=[second], constants=[numpy_helper.from_array(np.int64([2, 3]), "two")])
    built = build(ordering(tmp_path, model, constants={"factor": [[3]]}), Silent())
    np.testing.assert_allclose(answers(built, some_pixels()), 3 * weighted(some_pixels(), UNEVEN), rtol=1e-4, atol=1e-4)


def test_a_resolution_may_be_chosen(tmp_path: Path) -> None:
    """A graph that takes any size is built for the one asked for."""
    built = build(replace(ordering(tmp_path, a_detector()), resolution=32), Silent())
    assert built.order.repository.read_card("small", 1).input.shape == (32, 32, 3)


def failing(tmp_path: Path, model: onnx.ModelProto | bytes, **source: Any) -> StepFailed:
    """The failure of building this file, which leaves the repository empty."""
    order = ordering(tmp_path, model, **source)
    with pytest.raises(StepFailed) as failure:
        build(order, Silent())
    assert list(order.repository.root.iterdir()) == []
    return failure.value


def test_a_graph_for_one_image_is_freed(tmp_path: Path) -> None:
    """A graph that was exported for one image, with its batch in a constant shape, takes batches."""
    nodes = [
        helper.make_node("Reshape", ["sum", "frozen"], ["one"]),
        helper.make_node("Sigmoid", ["one"], ["map"]),
    ]
    frozen = numpy_helper.from_array(np.int64([1, 1, 8, 8]), "frozen")
    built = build(ordering(tmp_path, a_detector(*nodes, shape=(1, 3, 16, 16), constants=[frozen])), Silent())
    expected = 1 / (1 + np.exp(-weighted(some_pixels(), UNEVEN)))
    np.testing.assert_allclose(answers(built, some_pixels()), expected, atol=1e-5)


def test_what_freezes_a_graph_is_named(tmp_path: Path) -> None:
    """A graph that picks the first image by itself cannot take batches, and the node that does so is named."""
    nodes = [
        helper.make_node("Gather", ["sum", "zero"], ["one"], name="pick_the_first", axis=0),
        helper.make_node("Sigmoid", ["one"], ["map"]),
    ]
    zero = numpy_helper.from_array(np.int64([0]), "zero")
    failure = failing(tmp_path, a_detector(*nodes, shape=(1, 3, 16, 16), constants=[zero]))
    assert failure.step == "export"
    assert "Gather pick_the_first gives [1, 1, 8, 8] whatever the batch" in failure.reason


@pytest.mark.parametrize("content", [b"", b"hello", b"<html>not here</html>\n", a_detector().SerializeToString()[:-60]])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    """What is not a whole ONNX file fails in the step source under the file's name."""
    failure = failing(tmp_path, content)
    assert failure.step == "source"
    assert "detector.onnx" in failure.reason


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """A graph whose weights lie in another file names that file."""
    model = a_detector()
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "weights.bin")
    model.graph.initializer[0].ClearField("raw_data")
    failure = failing(tmp_path, model)
    assert "weights.bin" in failure.reason


@pytest.mark.parametrize(("domain", "named"), [("", "Frobnicate"), ("mmdeploy", "mmdeploy::Frobnicate")])
def test_unknown_operators_are_named(domain: str, named: str, tmp_path: Path) -> None:
    """An operator of nobody, or of a plug-in, is named before anything is built."""
    failure = failing(tmp_path, a_detector(helper.make_node("Frobnicate", ["sum"], ["map"], domain=domain)))
    assert failure.step == "source"
    assert named in failure.reason


def test_two_inputs_are_named(tmp_path: Path) -> None:
    """A graph with a second input says which inputs it has, and how the card gives one a value."""
    second = helper.make_tensor_value_info("sizes", TensorProto.FLOAT, ["n", 2])
    failure = failing(tmp_path, a_detector(inputs=[second]))
    assert "x [n, 3, h, w], sizes [n, 2]" in failure.reason
    assert "constants" in failure.remedy


def test_a_constant_of_another_shape_is_refused(tmp_path: Path) -> None:
    """A value for a second input must have its axes, and both shapes are named."""
    second = helper.make_tensor_value_info("sizes", TensorProto.FLOAT, ["n", 2])
    failure = failing(tmp_path, a_detector(inputs=[second]), constants={"sizes": [16, 16]})
    assert "sizes [n, 2], and the card gives it [2]" in failure.reason


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((1, 16, 16, 3), "x [1, 16, 16, 3], which is not [B, 3, H, W]"),
        ((1, 3, 32, 24), "x [1, 3, 32, 24], but preprocess makes 16 x 16"),
        ((1, 1, 16, 16), "x [1, 1, 16, 16], which is not [B, 3, H, W]"),
    ],
)
def test_another_layout_or_size_is_named(shape: tuple[int, ...], told: str, tmp_path: Path) -> None:
    """A graph of another layout, size or number of channels says which shapes do not fit."""
    assert told in failing(tmp_path, a_detector(shape=shape)).reason


def test_outputs_that_no_card_explains_are_named(tmp_path: Path) -> None:
    """A graph with two outputs says which, and what the task needs."""
    model = a_detector(helper.make_node("Split", ["sum"], ["map", "rest"], axis=2))
    model.graph.output.append(helper.make_tensor_value_info("rest", TensorProto.FLOAT, [None] * 4))
    failure = failing(tmp_path, model)
    assert "map [B, 1, 4, 8], rest [B, 1, 4, 8]" in failure.reason


def test_there_is_no_random_graph(tmp_path: Path) -> None:
    """An ONNX source cannot be built with random weights, and says so."""
    order = replace(ordering(tmp_path, a_detector()), weights="random")
    with pytest.raises(StepFailed, match="no random form"):
        build(order, Silent())
