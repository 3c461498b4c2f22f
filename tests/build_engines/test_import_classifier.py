"""Foreign classifiers: some give logits and some probabilities."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from build_engines.catalog.decoding import Rename, Step
from build_engines.catalog.entry import OnnxSource
from build_engines.pipeline import build
from build_engines.verify import EngineRunner
from contract.task import Task
from tests.build_engines.conftest import Silent
from tests.build_engines.onnx_files import a_detector
from tests.build_engines.orders import UNEVEN, a_spec, an_entry, an_order

LABELS = ("left", "right", "neither")


@pytest.mark.parametrize("activated", [False, True])
def test_probabilities_come_out_either_way(*, activated: bool, tmp_path: Path) -> None:
    """Logits get their softmax from the card; what went through one in the graph is left alone."""
    nodes = [
        helper.make_node("Flatten", ["sum"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["logits" if activated else "map"]),
    ]
    if activated:
        nodes.append(helper.make_node("Softmax", ["logits"], ["map"], axis=1))
    dense = np.random.default_rng(2).normal(size=(64, 3)).astype(np.float32)
    model = a_detector(*nodes, constants=[numpy_helper.from_array(dense, "dense")], rank=2)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    step = Step(activation="none" if activated else "softmax")
    entry = an_entry(
        source=OnnxSource(outputs=Rename(tensors={"probabilities": step})),
        task=Task.CLASSIFY,
        preprocess=a_spec(),
        normalisation=UNEVEN,
        labels=LABELS,
    )
    built = build(an_order(tmp_path / "models", entry, weights=tmp_path / "model.onnx", resolution=None), Silent())
    probabilities = EngineRunner(built.path / "model.onnx").run(built.samples[:4])["probabilities"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert probabilities.max() > 0.9
    assert built.order.repository.read_card("small", 1).labels == LABELS
