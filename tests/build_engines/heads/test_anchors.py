"""Anchors and box decoding, against cases worked out by hand."""

import math

import pytest
import torch

from build_engines.heads.anchors import anchors, centred, decode, grid
from build_engines.heads.fcos import around
from build_engines.heads.maps import Map

LEVEL = Map(channels=1, stride=16, height=2, width=4)
SIZE = (32, 64)


def test_centres_lie_in_the_middle_of_their_cells() -> None:
    """Position (row 1, column 2) of stride 16 in an input of 32 x 64 is at (40, 24) pixels."""
    assert grid(LEVEL, SIZE)[1 * 4 + 2].tolist() == pytest.approx([40 / 64, 24 / 32])


def test_anchors_have_their_area_and_ratio() -> None:
    """An anchor of edge 8 and ratio 2 is 5.66 wide and 11.31 high; those of a position stand side by side."""
    found = anchors(LEVEL, SIZE, edges=(8.0, 16.0), ratios=(1.0, 2.0))
    assert found.shape == (2 * 4 * 4, 4)
    assert found[1].tolist() == pytest.approx([8 / 64, 8 / 32, 8 / math.sqrt(2) / 64, 8 * math.sqrt(2) / 32])
    assert found[2].tolist() == pytest.approx([8 / 64, 8 / 32, 16 / 64, 16 / 32])


def test_a_box_is_decoded_as_by_hand() -> None:
    """Centre 0.5 moved by a tenth of 0.2 is 0.52; a width of 0.2 doubled is 0.4: x runs from 0.32 to 0.72."""
    start = torch.tensor([[0.5, 0.4, 0.2, 0.1]])
    delta = torch.tensor([[0.1, -0.2, math.log(2), 0.0]])
    assert decode(start, delta)[0].tolist() == pytest.approx([0.32, 0.33, 0.72, 0.43])


def test_weights_divide_the_deltas() -> None:
    """Deltas ten and five times as large, with weights of 10 and 5, give the same box."""
    start, delta = torch.tensor([[0.5, 0.4, 0.2, 0.1]]), torch.tensor([[0.1, -0.2, 0.3, 0.1]])
    weighted = decode(start, delta * torch.tensor([10, 10, 5, 5]), weights=(10.0, 5.0))
    torch.testing.assert_close(weighted, decode(start, delta))


def test_boxes_stay_in_the_image() -> None:
    """A box that grows beyond all bounds is the whole image, and finite."""
    box = decode(torch.tensor([[0.5, 0.5, 0.1, 0.1]]), torch.tensor([[0.0, 0.0, 1e4, 1e4]]))
    assert box[0].tolist() == [0, 0, 1, 1]


def test_no_delta_gives_the_start_back() -> None:
    """A region that is not moved stays itself."""
    box = torch.tensor([[0.1, 0.2, 0.5, 0.9]])
    torch.testing.assert_close(decode(centred(box), torch.zeros(1, 4)), box)


def test_distances_reach_to_the_sides() -> None:
    """A point with distances left, top, right, bottom is the box between them, clipped to the image."""
    box = around(torch.tensor([[0.5, 0.25]]), torch.tensor([[0.1, 0.5, 0.2, 0.25]]))
    assert box[0].tolist() == pytest.approx([0.4, 0.0, 0.7, 0.5])
