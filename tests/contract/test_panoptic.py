"""Panoptic segmentation: one map of segments, each with its label and score."""

from typing import Any

import numpy as np
import pytest

from contract.preprocess import Geometry, Resize
from contract.tasks.definition import UnusableOutput
from contract.tasks.masks import decode_rle
from contract.tasks.segment import SEGMENT
from tests.cards import a_spec
from tests.contract.answers import answer

# pycocotools 2.0.11 speaks NumPy 1's form of a protocol, of which NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def scene(**changes: Any) -> dict[str, Any]:
    """Three columns: a dog (segment 1), nothing, and a cat (segment 0); segment 2 is nowhere."""
    return {
        "segment_map": np.tile(np.int32([1, -1, 0, 0]), (4, 1)),
        "segment_labels": np.int32([0, 1, 2]),
        "segment_scores": np.float32([0.6, 0.9, 0.95]),
        **changes,
    }


def test_segments_have_labels_scores_and_masks() -> None:
    """Segments come best first with label, score, area, box and mask; one without a pixel is left out."""
    dog, cat = answer(SEGMENT, scene())["segments"]

    assert (dog["label"], dog["score"], dog["area"]) == ("dog", 0.9, 2500)
    assert (cat["label"], cat["score"], cat["area"]) == ("cat", 0.6, 5000)
    assert cat["box"] == {"x1": 50, "y1": 0, "x2": 100, "y2": 100}
    mask = decode_rle(cat["mask"])
    assert mask[:, 50:].all()
    assert not mask[:, :50].any()


def test_two_segments_of_one_label_stay_two() -> None:
    """Segments of the same class are not thrown together."""
    found = answer(SEGMENT, scene(segment_labels=np.int32([1, 1, 1])))["segments"]
    assert [(segment["label"], segment["area"]) for segment in found] == [("dog", 2500), ("dog", 5000)]


def test_segments_are_filtered_by_score_and_label() -> None:
    """The caller's threshold goes before the card's; only the labels asked for are answered; score 0 is empty."""

    def labels(outputs: dict[str, Any], **asked: Any) -> list[str]:
        return [segment["label"] for segment in answer(SEGMENT, outputs, **asked)["segments"]]

    assert labels(scene(), score_threshold=0.7) == ["dog"]
    assert labels(scene(), setting={"score_threshold": 0.7}) == ["dog"]
    assert labels(scene(), labels="cat") == ["cat"]
    assert labels(scene(segment_scores=np.float32([0, 0.9, 0])), score_threshold=0) == ["dog"]


def test_what_was_not_seen_belongs_to_no_segment() -> None:
    """Outside a centre crop there is no segment, whatever the map's edge says."""
    crop = Geometry.of(200, 100, a_spec(height=50, width=50, resize=Resize.SHORTEST_EDGE, shortest_edge=50))
    outputs = scene(segment_map=np.zeros((4, 4), np.int32))

    (cat,) = answer(SEGMENT, outputs, crop)["segments"]
    assert (cat["area"], cat["box"]) == (100 * 100, {"x1": 50, "y1": 0, "x2": 150, "y2": 100})


def test_scores_that_are_no_numbers_are_refused() -> None:
    """NaN among the scores is UnusableOutput."""
    with pytest.raises(UnusableOutput, match="segment_scores"):
        answer(SEGMENT, scene(segment_scores=np.float32([0.5, np.nan, 0.5])))
