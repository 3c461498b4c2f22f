"""The activation head: what its boxes, masks, windows and mixed maps are."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from build_engines import export
from build_engines.artifact import BuildFailure
from build_engines.catalog.entry import CamHead
from build_engines.heads import cam
from build_engines.heads.cam import ClassActivationMaps, box_iou, shared
from build_engines.verify import verify
from contract.task import Task
from tests.build_engines.orders import CLASSES, Classifier, a_spec, an_artifact, an_entry, an_order

SETTINGS = CamHead(map_size=24, window=4, candidates=4)


@pytest.fixture
def pixels() -> Tensor:
    """Three normalised images of noise."""
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(5))


def head(**changes: float) -> ClassActivationMaps:
    """The head on a small classifier, with ``changes`` of its settings."""
    fitting = SETTINGS.model_copy(update=changes)
    return ClassActivationMaps(Classifier(), fitting, with_masks=True).eval()


def run(network: ClassActivationMaps, pixels: Tensor) -> list[np.ndarray]:
    """The outputs as arrays."""
    with torch.inference_mode():
        return [output.numpy() for output in network(pixels)]


@pytest.mark.parametrize("least_filled", [0.01, 0.25, 0.8])
def test_boxes_enclose_the_masks(pixels: Tensor, least_filled: float) -> None:
    """Each box runs from the first to the last row and column of its mask that is filled well, as counting finds."""
    boxes, _, _, masks = run(head(least_filled=least_filled), pixels)
    for box, mask in zip(boxes.reshape(-1, 4), masks.reshape(-1, 24, 24) >= 0.5, strict=True):
        columns, rows = (np.flatnonzero(n >= least_filled * n.max()) for n in (mask.sum(axis=0), mask.sum(axis=1)))
        expected = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        np.testing.assert_allclose(box * 24, expected, atol=1e-4)


def test_a_speck_does_not_stretch_the_box() -> None:
    """A single pixel far from the rest of a mask lies outside its box."""
    inside = torch.zeros(1, 1, 24, 24, dtype=torch.bool)
    inside[..., 4:12, 6:16] = True
    inside[..., 23, 23] = True
    box = head()._extent(inside)[0, 0] * 24
    assert box.tolist() == pytest.approx([6, 4, 16, 12], abs=1e-4)


def test_outputs_have_the_tasks_form(pixels: Tensor) -> None:
    """Boxes and masks lie in 0…1, labels are int32, scores descend but for the suppressed."""
    boxes, scores, labels, masks = run(head(), pixels)
    assert (boxes.shape, scores.shape, labels.shape, masks.shape) == ((3, 4, 4), (3, 4), (3, 4), (3, 4, 24, 24))
    assert labels.dtype == np.int32
    assert masks.min() == pytest.approx(0, abs=1e-30)
    assert masks.max() == pytest.approx(1)
    assert all((np.diff(row[row > 0]) <= 0).all() for row in scores)


def test_a_window_is_judged_alone(pixels: Tensor) -> None:
    """A class is as probable as in the best window, by a loop that pools every window in turn."""
    network = head(suppress_iou=1.0)
    with torch.inference_mode():
        features = network.classifier.forward_features(pixels)
        windows = [features[:, :, y : y + 4, x : x + 4].mean(dim=(2, 3)) for y in range(16 - 3) for x in range(16 - 3)]
        best = torch.stack([network.classifier.head(pooled).softmax(-1) for pooled in windows]).amax(dim=0)
    _, scores, labels, _ = run(network, pixels)
    expected = np.take_along_axis(best.numpy(), labels.astype(np.int64), axis=1)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_one_window_over_all_is_the_classifier(pixels: Tensor) -> None:
    """With a window as large as the map, the scores are the classifier's own probabilities."""
    network = head(window=99, suppress_iou=1.0, candidates=CLASSES)
    _, scores, labels, _ = run(network, pixels)
    with torch.inference_mode():
        expected = network.classifier(pixels).softmax(-1).numpy()
    np.testing.assert_allclose(scores, np.take_along_axis(expected, labels.astype(np.int64), 1), rtol=1e-4)


def test_duplicates_lose_their_scores() -> None:
    """A box like that of a more probable class that is kept is suppressed; one like a suppressed box only is not."""
    network = head(suppress_iou=0.5)
    boxes = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 0.6], [0, 0, 1, 0.35], [0, 0.5, 0.1, 1]]])
    scores = torch.tensor([[0.9, 0.5, 0.4, 0.3]])
    kept = network._without_duplicates(boxes, scores)
    np.testing.assert_allclose(kept.numpy(), [[0.9, 0, 0.4, 0.3]], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), min_size=2, max_size=5))
def test_box_iou_is_the_formula(corners: list[tuple[float, float, float, float]]) -> None:
    """The overlap of every pair is that of the plain formula, symmetric, and 1 of a box with itself."""
    sides = np.array([[min(a, c), min(b, d), max(a, c) + 0.1, max(b, d) + 0.1] for a, b, c, d in corners])
    found = box_iou(torch.from_numpy(sides).float()[None])[0].numpy()
    for i, first in enumerate(sides):
        for j, second in enumerate(sides):
            spans = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
            overlap = spans.clip(min=0).prod()
            union = (first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - overlap
            assert found[i, j] == pytest.approx(overlap / union, abs=1e-4)


def test_shared_mixes_what_is_alike() -> None:
    """Each map becomes the mean of all, weighted by score times squared positive correlation, as NumPy computes it."""
    maps = np.random.default_rng(3).normal(size=(4, 50))
    maps[1] = maps[0] * 2 + 1
    maps[2] = -maps[0]
    scores = np.array([0.6, 0.2, 0.1, 0.05])
    weights = np.corrcoef(maps).clip(min=0) ** 2 * scores
    expected = weights / weights.sum(axis=1, keepdims=True) @ maps
    found = shared(torch.from_numpy(maps)[None], torch.from_numpy(scores)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert weights[0, 2] == 0


def test_uniform_maps_outline_the_whole_image() -> None:
    """Features that are the same everywhere give no NaN and no empty box, but the whole image."""
    network = head()
    torch.nn.init.zeros_(network.classifier.stem.weight)
    boxes, scores, _, masks = run(network, torch.zeros(1, 3, 32, 32))
    np.testing.assert_allclose(boxes[0, 0], [0, 0, 1, 1])
    assert np.isfinite(masks).all()
    assert scores[0, 0] > 0


@pytest.mark.parametrize("level", [0.2, 0.35, 0.7])
def test_the_outline_runs_at_the_level(level: float) -> None:
    """A pixel is inside exactly where its position between the map's lowest and highest value reaches the level."""
    ramp = torch.linspace(-3, 5, 24).expand(1, 1, 24, 24)
    mask = head(level=level)._outline(ramp)[0, 0, 12].numpy()
    smooth = np.convolve(np.linspace(-3, 5, 24), np.ones(3) / 3, "same")
    smooth[[0, -1]] = ramp[0, 0, 0, :2].mean(), ramp[0, 0, 0, -2:].mean()
    position = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    np.testing.assert_array_equal(mask >= 0.5, position >= level)


def test_the_head_exports_and_verifies(tmp_path: Path) -> None:
    """With the head on, the engine gives the source's boxes, scores, labels and masks at every batch size."""
    entry = an_entry(task=Task.SEGMENT, head=SETTINGS)
    artifact = cam.STEP(an_artifact(tmp_path, order=an_order(tmp_path, entry)))
    verified = verify(export.by("torch.export")(artifact))
    assert verified.batch_sizes == (1, 2, 3, 4)
    assert list(verified.golden) == ["boxes", "scores", "labels", "masks"]


def test_detection_carries_no_masks(tmp_path: Path) -> None:
    """For task detect the head puts out boxes, scores and labels only."""
    entry = an_entry(task=Task.DETECT, head=SETTINGS)
    artifact = cam.STEP(an_artifact(tmp_path, order=an_order(tmp_path, entry)))
    assert artifact.output_names == ("boxes", "scores", "labels")
    with torch.inference_mode():
        assert len(artifact.network(torch.zeros(1, 3, 16, 16))) == 3


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "deit_tiny_patch16_224"])
def test_other_architectures_are_refused(name: str, tmp_path: Path) -> None:
    """A classifier with layers between pooling and the last one, or without a map, is refused with advice."""
    entry = an_entry(task=Task.SEGMENT, head=SETTINGS)
    network = timm.create_model(name)
    artifact = an_artifact(tmp_path, network, order=an_order(tmp_path, entry), preprocess=a_spec(224))
    with pytest.raises(BuildFailure, match="one linear layer") as failure:
        cam.attach(artifact)
    assert "ResNet" in failure.value.remedy
