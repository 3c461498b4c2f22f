"""A detector's last steps: candidates, suppression, slots."""

import pytest
import torch
from torch import Tensor

from build_engines.heads.slots import best_pairs, rows, suppressed

BOXES = torch.tensor([[[0.0, 0, 0.5, 0.5], [0.02, 0, 0.5, 0.5], [0.6, 0.6, 0.9, 0.9], [1.0, 0.2, 1.0, 0.4]]])


def kept(labels: list[int], count: int = 4, scores: tuple[float, ...] = (0.5, 0.6, 0.7, 0.9)) -> tuple[Tensor, ...]:
    """The slots of `BOXES` with these labels."""
    return suppressed((BOXES, torch.tensor([scores]), torch.tensor([labels])), count, 0.5)


def test_the_best_pairs_are_named() -> None:
    """Each candidate is a position and a class: the highest scores of the table, in order."""
    scores = torch.tensor([[[0.1, 0.9, 0.2], [0.8, 0.3, 0.7]]])
    index, values, labels = best_pairs(scores, 3)
    assert (index.tolist(), labels.tolist()) == ([[0, 1, 1]], [[1, 0, 2]])
    assert values[0].tolist() == pytest.approx([0.9, 0.8, 0.7])


def test_no_more_candidates_than_there_are() -> None:
    """A small level gives all that it has."""
    assert best_pairs(torch.rand(2, 3, 2))[0].shape == (2, 6)


def test_rows_are_picked_image_by_image() -> None:
    """An index names rows of its own image."""
    values = torch.arange(12.0).reshape(2, 3, 2)
    assert rows(values, torch.tensor([[2], [0]])).tolist() == [[[4.0, 5.0]], [[6.0, 7.0]]]


def test_doubles_of_one_label_are_suppressed() -> None:
    """Of two boxes alike the better one stays; what is empty is 0 in every output, and comes last."""
    boxes, scores, labels = kept([3, 3, 4, 5])
    assert scores[0].tolist() == pytest.approx([0.7, 0.6, 0, 0])
    assert labels[0].tolist() == [4, 3, 0, 0]
    torch.testing.assert_close(boxes[0, :2], BOXES[0, [2, 1]])
    assert not boxes[0, 2:].any()


def test_other_labels_are_no_doubles() -> None:
    """The same place may hold two kinds of things."""
    assert kept([3, 4, 4, 5])[1][0].tolist() == pytest.approx([0.7, 0.6, 0.5, 0])


def test_a_box_without_area_is_no_object() -> None:
    """What lies outside the image, and is a line after clipping, takes no slot however high its score."""
    assert 0.9 not in kept([0, 1, 2, 3])[1].round(decimals=3)


def test_slots_are_cut_and_filled() -> None:
    """There are as many slots as asked for, whether there are more candidates or fewer."""
    assert kept([0, 1, 2, 3], count=2)[1][0].tolist() == pytest.approx([0.7, 0.6])
    boxes, scores, labels = kept([0, 1, 2, 3], count=6)
    assert (boxes.shape, scores.shape, labels.shape) == ((1, 6, 4), (1, 6), (1, 6))
    assert (scores > 0).sum() == 3
