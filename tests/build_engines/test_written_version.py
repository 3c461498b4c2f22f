"""What lies in a version folder that the pipeline wrote."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime as ort
import timm
import torch
from google.protobuf import text_format
from PIL import Image
from timm.data import create_transform, resolve_data_config
from tritonclient.grpc import model_config_pb2

from build_engines.artifact import Artifact
from build_engines.pipeline import build
from build_engines.verify import replay
from contract.preprocess import preprocess
from contract.repository import CARD, CONFIG, GOLDEN, LABELS
from tests.build_engines.conftest import Silent
from tests.build_engines.orders import SMALL, an_order


def test_a_version_is_exactly_its_five_files(built: Artifact) -> None:
    """A version folder holds model, card, labels and golden sample, with the configuration beside it, nothing else."""
    folder = built.path.parent
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == sorted([CONFIG, *(f"1/{name}" for name in (CARD, GOLDEN, LABELS, "model.onnx"))])


def test_the_card_says_what_was_built(built: Artifact) -> None:
    """The card names source, weights, size, tools and figures as they are, and that random weights mean nothing."""
    card = built.order.repository.read_card("small", 1)
    assert card.provenance.source == f"timm:{SMALL}"
    assert (card.provenance.weights, card.provenance.trained) == ("random", False)
    assert card.input.shape == (64, 64, 3)
    assert [(output.name, output.shape) for output in card.outputs] == [("probabilities", (1000,))]
    assert card.provenance.tools["torch"] == torch.__version__
    assert card.figures.parameters == sum(p.numel() for p in timm.create_model(SMALL).parameters())
    assert card.batch_sizes == (1, 2, 3, 4)


def test_labels_are_a_line_a_class(built: Artifact) -> None:
    """The labels' file has the card's labels, a line each, all different."""
    lines = (built.path / LABELS).read_text(encoding="utf-8").splitlines()
    assert tuple(lines) == built.order.repository.read_card("small", 1).labels
    assert len(set(lines)) == 1000
    assert lines[281].startswith("tabby")


def test_the_configuration_is_tritons(built: Artifact) -> None:
    """Triton's own schema reads the configuration, with the card's tensors in it."""
    text = (built.path.parent / CONFIG).read_text(encoding="utf-8")
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert (config.name, config.platform, config.max_batch_size) == ("small", "onnxruntime_onnx", 4)
    assert [(item.name, list(item.dims)) for item in config.input] == [("images", [64, 64, 3])]
    assert [(item.name, list(item.dims)) for item in config.output] == [("probabilities", [1000])]


def test_the_golden_sample_replays(built: Artifact) -> None:
    """The written file gives the golden outputs for the golden images, both different pictures."""
    with np.load(built.path / GOLDEN) as golden:
        images, expected = golden["images"], golden["output.probabilities"]
    card = built.order.repository.read_card("small", 1)
    replay(built.path / "model.onnx", card, images, {"probabilities": expected})
    assert images.shape == (2, 64, 64, 3)
    assert np.abs(expected[0] - expected[1]).max() > 0


def test_the_batch_is_free(built: Artifact) -> None:
    """The written model takes any batch, also sizes that nobody checked, and each slot has its own answer."""
    session = ort.InferenceSession(built.path / "model.onnx", providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).integers(0, 256, (13, 64, 64, 3), np.uint8)
    (together,) = session.run(None, {"images": images})
    alone = np.concatenate([session.run(None, {"images": image[None]})[0] for image in images])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-7)


def test_the_version_answers_as_timm_does(built: Artifact) -> None:
    """From a photograph on, the version's probabilities are those of timm's own transform and network.

    To the grey level by which the two resamplers differ, that is, on pixels that are noise.
    """
    photograph = np.random.default_rng(1).integers(0, 256, (7, 9, 3), np.uint8)
    picture = Image.fromarray(photograph).resize((90, 70), Image.Resampling.BICUBIC)
    config = resolve_data_config(model=built.network) | {"input_size": (3, 64, 64)}
    transform = create_transform(**config)
    with torch.inference_mode():
        expected = built.network(transform(picture)[None]).softmax(-1).numpy()
    session = ort.InferenceSession(built.path / "model.onnx", providers=["CPUExecutionProvider"])
    (answered,) = session.run(None, {"images": preprocess(np.asarray(picture), built.preprocess)[0][None]})
    np.testing.assert_allclose(answered, expected, atol=1e-3)


def test_the_next_build_is_the_next_version(built: Artifact, observer: Silent, tmp_path: Path) -> None:
    """A second build of the same order becomes version 2 with the same answers, and version 1 stays as it was."""
    root = shutil.copytree(built.order.repository.root, tmp_path / "copy")
    again = build(an_order(root), observer)
    assert again.version == 2
    expected = "reserve source reparameterise figures sample export simplify verify emit"
    assert observer.steps == expected.split()
    np.testing.assert_array_equal(again.golden["probabilities"], built.golden["probabilities"])
    assert (root / "small" / "1" / "model.onnx").read_bytes() == (built.path / "model.onnx").read_bytes()
