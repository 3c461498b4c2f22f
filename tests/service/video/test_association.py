"""The best pairs of two sets of boxes."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from service.video import association
from service.video.association import iou, pairs

SAME = 0.2
"""Least overlap."""


def boxes(count: int, seed: int, side: float = 30, field: float = 150) -> Any:
    """Boxes f64 [N, 4] here and there, many of them over each other."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, field, (count, 2))
    return np.concatenate([corner, corner + random.uniform(side / 2, side, (count, 2))], axis=1)


def zeros(*counts: int) -> Any:
    """Classes of sets in which all boxes are alike."""
    return tuple(np.zeros(count, np.int64) for count in counts)


def test_iou() -> None:
    """Halves that overlap by a half have a third in common; what touches, is apart, or has no area has nothing."""
    first = np.array([[0.0, 0, 10, 10]])
    second = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [90, 90, 99, 99], [5, 5, 5, 5]])
    assert iou(first, second)[0].tolist() == pytest.approx([1, 1 / 3, 0, 0, 0])
    assert iou(second[4:], second[4:]).item() == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 1000))
def test_no_pairing_is_better(height: int, width: int, seed: int) -> None:
    """The pairs' overlaps sum up to what the solution of the whole table by SciPy gives."""
    first, second = boxes(height, seed), boxes(width, seed + 1)
    rows, columns = pairs(first, second, zeros(height, width), SAME)
    table = iou(first, second)
    table[table < SAME] = 0
    best = table[linear_sum_assignment(table, maximize=True)].sum()
    assert table[rows, columns].sum() == pytest.approx(best)
    assert (table[rows, columns] > 0).all()
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)


def test_classes_are_not_mixed() -> None:
    """Boxes of different classes are never a pair, even in the same place."""
    here = boxes(4, 0, field=1000)
    rows, columns = pairs(here, here, (np.array([0, 1, 2, 3]), np.array([0, 1, 3, 2])), SAME)
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [0, 1])


def test_nothing() -> None:
    """Of no boxes there are no pairs."""
    for height, width in itertools.product((0, 3), (0, 3)):
        if height * width == 0:
            assert len(pairs(boxes(height, 0), boxes(width, 0), zeros(height, width), SAME)[0]) == 0


def test_a_crowd_too_large_to_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a group is too large for its table, each box still has one partner at most, and most have one."""
    monkeypatch.setattr(association, "_MOST_CELLS", 100)
    monkeypatch.setattr(association, "_MOST_PARTNERS", 4)
    here = boxes(300, 1)
    rows, columns = pairs(here, here + 1, zeros(300, 300), SAME)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows) > 250
    assert (iou(here, here + 1)[rows, columns] >= SAME).all()
