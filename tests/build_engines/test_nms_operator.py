"""Suppression in the graph: the same boxes by torch, by a plain loop, and by ONNX Runtime after either exporter."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from build_engines.nms_operator import TRANSLATIONS, kept_by_nms

IOU, SCORE, MOST = 0.4, 0.2, 5


class Suppression(nn.Module):
    """The operator with fixed thresholds."""

    def forward(self, boxes: Tensor, scores: Tensor) -> Tensor:
        return kept_by_nms(boxes, scores, IOU, SCORE, MOST)


def some(batch: int, classes: int = 3, count: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Crowded boxes f32 [B,N,4] and scores f32 [B,C,N], with equal scores and boxes without area among them."""
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 1, (batch, count, 2))
    boxes = np.concatenate([corners, corners + random.choice([0, 0.2, 0.4, 0.8], (batch, count, 2))], axis=-1)
    scores = random.integers(0, 20, (batch, classes, count)) / 20
    return torch.from_numpy(boxes).float(), torch.from_numpy(scores).float()


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    spans = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = float(np.prod(np.maximum(spans, 0)))
    total = float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])) - shared
    return shared / total if shared > 0 else 0.0


def by_loop(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Greedy suppression of one class, box by box: bool [N]."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        room = len(kept) < MOST and scores[index] > SCORE
        if room and all(overlap(boxes[index], boxes[other]) <= IOU for other in kept):
            kept.append(int(index))
    return np.isin(np.arange(len(scores)), kept)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 30))
def test_the_operator_is_greedy_suppression(seed: int, batch: int, count: int) -> None:
    """Whatever the boxes, the operator keeps exactly those that a plain loop keeps."""
    boxes, scores = some(batch, 2, count, seed)
    kept = kept_by_nms(boxes, scores, IOU, SCORE, MOST).numpy()
    for image in range(batch):
        for kind in range(2):
            expected = by_loop(boxes[image].numpy(), scores[image, kind].numpy())
            np.testing.assert_array_equal(kept[image, kind], expected)


def exported(way: str) -> onnxruntime.InferenceSession:
    """The operator as ONNX, traced with a batch of 3."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "nms.onnx"
        names = {"input_names": ["boxes", "scores"], "output_names": ["kept"], "opset_version": 20}
        if way == "torch.export":
            batch = torch.export.Dim("batch", min=1)
            program = torch.onnx.export(
                Suppression(),
                some(3),
                dynamo=True,
                dynamic_shapes=({0: batch}, {0: batch}),
                custom_translation_table=TRANSLATIONS,
                verbose=False,
                **names,
            )
            return onnxruntime.InferenceSession(program.model_proto.SerializeToString())
        axes = {name: {0: "batch"} for name in ("boxes", "scores", "kept")}
        torch.onnx.export(Suppression(), some(3), path, dynamo=False, dynamic_axes=axes, **names)
        return onnxruntime.InferenceSession(path)


@pytest.mark.parametrize("way", ["torch.export", "tracer"])
def test_both_exporters_know_the_operator(way: str) -> None:
    """ONNX Runtime keeps the same boxes as torch at batch 1, 2 and 5, though 3 was traced."""
    session = exported(way)
    for batch in (1, 2, 5):
        boxes, scores = some(batch, seed=batch)
        (kept,) = session.run(None, {"boxes": boxes.numpy(), "scores": scores.numpy()})
        np.testing.assert_array_equal(kept, kept_by_nms(boxes, scores, IOU, SCORE, MOST).numpy())
        assert 0 < kept.sum() < kept.size


@pytest.mark.parametrize("way", ["torch.export", "tracer"])
def test_nothing_above_the_threshold_keeps_nothing(way: str) -> None:
    """Where no score is high enough, the exported operator keeps no box, and its answer has its size."""
    boxes, scores = some(2)
    (kept,) = exported(way).run(None, {"boxes": boxes.numpy(), "scores": scores.numpy() * 0})
    assert kept.shape == scores.shape
    assert not kept.any()
