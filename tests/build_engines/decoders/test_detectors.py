"""Raw heads with objects at known places, and where the decoders find them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from build_engines.artifact import BuildFailure
from build_engines.catalog.decoding import Decoding, Detr, FastestDet, Ssd, Yolo, Yolox, Yunet
from build_engines.decoders.table import decoder
from contract.task import Task
from tests.build_engines.decoders.raw_outputs import SIZE, logit, raw, tensors

Outputs = dict[str, np.ndarray]
BOX = (24.0, 16.0, 56.0, 48.0)
"""x1, y1, x2, y2 of the object in pixels; its centre (40, 32) is a corner of cell (5, 4) at stride 8."""
FRACTIONS = np.float32(BOX) / np.float32([96, 64, 96, 64])
LABEL = 2


def yolox() -> tuple[Decoding, Outputs, float]:
    """Three strides of 8, 16, 32: 96 + 24 + 6 cells; row 4, column 5 of the first."""
    head = np.zeros((2, 126, 5 + 3), np.float32)
    cell = 4 * 12 + 5
    head[1, cell, :5] = (0, 0, np.log(32 / 8), np.log(32 / 8), 0.9)
    head[1, cell, 5 + LABEL] = 0.8
    # A neighbour with a lower score, to be suppressed: its centre is a cell further.
    head[1, cell + 1] = head[1, cell] * 0.95
    head[1, cell + 1, 0] = -1
    return Yolox(decoder="yolox"), {"output": head}, 0.72


def yolo_v8() -> tuple[Decoding, Outputs, float]:
    """Channels first: centre, size, three classes."""
    head = np.zeros((2, 7, 50), np.float32)
    head[1, :4, 30], head[1, 4 + LABEL, 30] = (40, 32, 32, 32), 0.7
    head[1, :4, 31], head[1, 4 + LABEL, 31] = (41, 32, 32, 32), 0.6
    return Yolo(decoder="yolo"), {"output0": head}, 0.7


def yolo_v5() -> tuple[Decoding, Outputs, float]:
    """Channels last, with objectness."""
    head = np.zeros((2, 50, 8), np.float32)
    head[1, 30] = (40, 32, 32, 32, 0.9, 0, 0, 0.8)
    return Yolo(decoder="yolo", order="channels_last", objectness=True), {"output": head}, 0.72


def fastestdet() -> tuple[Decoding, Outputs, float]:
    """4 x 6 cells of 16 pixels; the centre is half a cell right of cell (2, 2)."""
    head = np.full((2, 8, 4, 6), -9, np.float32)
    head[:, 0] = 0
    head[:, 5:] = 0
    head[1, :5, 2, 2] = (0.81, np.arctanh(0.5), 0, logit(32 / 96), logit(32 / 64))
    head[1, 5 + LABEL, 2, 2] = 0.64
    return FastestDet(decoder="fastestdet"), {"758": head}, 0.81**0.6 * 0.64**0.4


def detr() -> tuple[Decoding, Outputs, float]:
    """Three classes and the background, which is sure of every query but one."""
    logits = np.zeros((2, 20, 4), np.float32)
    logits[..., 3] = 30
    logits[1, 11] = (0, 0, 9, 0)
    boxes = np.full((2, 20, 4), 0.5, np.float32)
    boxes[1, 11] = (40 / 96, 0.5, 32 / 96, 0.5)
    return Detr(decoder="detr"), {"logits": logits, "pred_boxes": boxes}, float(np.exp(9) / (np.exp(9) + 3))


def ssd() -> tuple[Decoding, Outputs, float]:
    """Background first; corners as y, x; the boxes come before the scores."""
    scores = np.zeros((2, 20, 4), np.float32)
    scores[..., 0] = 1
    scores[1, 7] = (0.2, 0, 0, 0.75)
    scores[1, 8] = (0.2, 0, 0, 0.7)
    boxes = np.zeros((2, 20, 4), np.float32)
    boxes[1, 7:9] = FRACTIONS[[1, 0, 3, 2]]
    decoding = Ssd(decoder="ssd", boxes="yxyx", scores="scores", locations="boxes")
    return decoding, {"boxes": boxes, "scores": scores}, 0.75


@pytest.mark.parametrize("case", [yolox, yolo_v8, yolo_v5, fastestdet, detr, ssd])
def test_the_object_is_found_where_it_is(case: Callable[[], tuple[Decoding, Outputs, float]]) -> None:
    """The second image's only object comes in the first slot, once, with its box, label and score."""
    decoding, outputs, score = case()
    boxes, scores, labels = decoder(decoding, raw(**outputs), Task.DETECT, SIZE)(*tensors(**outputs))
    assert (scores > 0).sum(dim=1).tolist() == [0, 1]
    np.testing.assert_allclose(boxes[1, 0], FRACTIONS, atol=1e-5)
    assert (labels[1, 0].item(), labels.dtype) == (LABEL, torch.int32)
    assert scores[1, 0].item() == pytest.approx(score, abs=1e-4)
    assert not boxes[0].any()
    assert not labels[0].any()


@pytest.mark.parametrize("case", [yolox, yolo_v8, yolo_v5, fastestdet, detr, ssd])
def test_the_number_of_classes_is_read_off(case: Callable[[], tuple[Decoding, Outputs, float]]) -> None:
    """A decoder knows how many classes its outputs tell apart, the background not counted."""
    decoding, outputs, _ = case()
    assert decoder(decoding, raw(**outputs), Task.DETECT, SIZE).classes == 3


def yunet_outputs() -> Outputs:
    """A face at `BOX` in the cell (4, 5) of stride 8, with points 0, 1 … 4 pixels right of its centre."""
    outputs = {}
    for part, width in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
        for stride in (8, 16, 32):
            outputs[f"{part}_{stride}"] = np.zeros((2, (64 // stride) * (96 // stride), width), np.float32)
    cell = 4 * 12 + 5
    outputs["cls_8"][1, cell], outputs["obj_8"][1, cell] = 0.9, 0.4
    outputs["bbox_8"][1, cell] = (0, 0, np.log(4), np.log(4))
    outputs["kps_8"][1, cell, ::2] = np.arange(5) / 8
    return outputs


def test_a_face_and_its_points() -> None:
    """YuNet's face has the mean of both scores, its box, and five points that score as the face does."""
    outputs = yunet_outputs()
    network = decoder(Yunet(decoder="yunet"), raw(**outputs), Task.KEYPOINTS, SIZE)
    keypoints, scores, boxes = network(*tensors(**outputs))
    assert (scores > 0).sum(dim=1).tolist() == [0, 1]
    np.testing.assert_allclose(boxes[1, 0], FRACTIONS, atol=1e-5)
    np.testing.assert_allclose(keypoints[1, 0, :, 0] * 96, 40 + np.arange(5), atol=1e-4)
    np.testing.assert_allclose(keypoints[1, 0, :, 1] * 64, [32] * 5, atol=1e-4)
    np.testing.assert_allclose(keypoints[1, 0, :, 2], [0.6] * 5, atol=1e-5)


def test_people_and_their_joints() -> None:
    """A YOLO with points gives those of the chosen candidates, with their own scores."""
    head = np.zeros((1, 4 + 1 + 6, 40), np.float32)
    head[0, :5, 17] = (40, 32, 32, 32, 0.7)
    head[0, 5:, 17] = (48, 16, 0.5, 24, 64, 0.25)
    network = decoder(Yolo(decoder="yolo", keypoints=2), raw(output0=head), Task.KEYPOINTS, SIZE)
    keypoints, scores, boxes = network(*tensors(output0=head))
    assert scores[0, 0].item() == pytest.approx(0.7)
    np.testing.assert_allclose(boxes[0, 0], FRACTIONS, atol=1e-5)
    np.testing.assert_allclose(keypoints[0, 0], [(0.5, 0.25, 0.5), (0.25, 1, 0.25)], atol=1e-5)


def test_the_best_comes_first_and_slots_are_limited() -> None:
    """Of many objects, as many as there are slots remain, best first."""
    head = np.zeros((1, 5, 30), np.float32)
    head[0, 0], head[0, 1], head[0, 2:4] = np.arange(30) * 3, 10, 2
    head[0, 4] = np.linspace(0.1, 0.9, 30)
    network = decoder(Yolo(decoder="yolo", objects=4), raw(output0=head), Task.DETECT, SIZE)
    _, scores, _ = network(*tensors(output0=head))
    np.testing.assert_allclose(scores[0], np.linspace(0.1, 0.9, 30)[:-5:-1], atol=1e-6)


def test_two_classes_do_not_suppress_each_other() -> None:
    """Boxes at one place remain both where their classes differ."""
    head = np.zeros((1, 6, 10), np.float32)
    head[0, :4, :2] = np.float32([[40, 32, 32, 32]]).T
    head[0, 4, 0], head[0, 5, 1] = 0.9, 0.8
    network = decoder(Yolo(decoder="yolo"), raw(output0=head), Task.DETECT, SIZE)
    assert (network(*tensors(output0=head))[1] > 0).sum() == 2


MISFITS = {
    "a wrong number of cells": (Yolox(decoder="yolox"), {"output": np.zeros((1, 100, 8), np.float32)}, "[B, 126, 5"),
    "too few channels": (Yolo(decoder="yolo"), {"output0": np.zeros((1, 4, 50), np.float32)}, "output0 [B, 4, 50]"),
    "a vector": (FastestDet(decoder="fastestdet"), {"out": np.zeros((1, 85), np.float32)}, "out [B, 85]"),
    "one output of two": (Detr(decoder="detr"), {"logits": np.zeros((1, 20, 4), np.float32)}, "logits [B, 20, 4]"),
    "other names": (Yunet(decoder="yunet"), {"out": np.zeros((1, 96, 1), np.float32)}, "cls_8 [B, 96, 1]"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_outputs_that_do_not_fit_are_named(name: str) -> None:
    """A decoder that cannot take the outputs says what it takes and what there is."""
    decoding, outputs, told = MISFITS[name]
    with pytest.raises(BuildFailure) as failure:
        decoder(decoding, raw(**outputs), Task.DETECT, SIZE)
    assert told in failure.value.reason
    assert decoding.decoder in failure.value.reason
