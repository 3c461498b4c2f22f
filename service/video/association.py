"""Which box is which: the best pairs of two sets of boxes, by overlap and class."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from service.video.motion import Numbers

Indices = npt.NDArray[np.intp]
Classes = npt.NDArray[np.int64]

_ROWS: Final = 256
"""Boxes compared at a time, so that ten thousand need no table of a hundred million."""
_MOST_PARTNERS: Final = 32
"""Of a box in the first set: those that it overlaps most."""
_MOST_CELLS: Final = 1_000_000
"""Of one solved table: a second at most. Thousands of boxes that all overlap are paired greedily instead."""


def pairs(first: Numbers, second: Numbers, classes: tuple[Classes, Classes], least: float) -> tuple[Indices, Indices]:
    """Places [K] in boxes f64 [N, 4] and [M, 4] of those that belong together, each in one pair at most.

    Pairs have the same class (i64 [N] and [M]) and an IoU of at least ``least`` > 0. Their sum of IoU is the largest
    possible; SciPy solves that, for each group of overlapping boxes by itself. The result depends on the boxes' order
    only where two solutions are equally good.
    """
    rows, columns, overlaps = _overlapping(first, second, classes, least)
    # Most boxes overlap one other at most: no choice there.
    alone = (np.bincount(rows, minlength=1)[rows] == 1) & (np.bincount(columns, minlength=1)[columns] == 1)
    chosen = [np.flatnonzero(alone)]
    if len(rest := np.flatnonzero(~alone)):
        group = _groups(rows[rest], columns[rest])
        order = np.argsort(group, kind="stable")
        edges = np.split(rest[order], np.flatnonzero(np.diff(group[order])) + 1)
        chosen += [_solved(rows[part], columns[part], overlaps[part], part) for part in edges]
    taken = np.sort(np.concatenate(chosen))
    return rows[taken], columns[taken]


def prepare() -> None:
    """Import what pairs are found with, which takes a quarter of a second the first time: not in the event loop."""
    import scipy.optimize  # noqa: PLC0415
    import scipy.sparse.csgraph  # noqa: F401, PLC0415


def _groups(rows: Indices, columns: Indices) -> npt.NDArray[np.int32]:
    """The number [E] of each edge's group; groups share no row and no column."""
    # SciPy takes 40 MB, and most services never track: it is imported when first wanted.
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    height, width = int(rows.max()) + 1, int(columns.max()) + 1
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns + height)), shape=(height + width,) * 2)
    numbers: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return numbers[rows]


def _solved(rows: Indices, columns: Indices, overlaps: Numbers, edges: Indices) -> Indices:
    """Those of a group's edges that pair it best."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    known_rows, row_places = np.unique(rows, return_inverse=True)
    known_columns, column_places = np.unique(columns, return_inverse=True)
    if len(known_rows) * len(known_columns) > _MOST_CELLS:
        return edges[_greedy(row_places, column_places, overlaps)]
    table = np.zeros((len(known_rows), len(known_columns)))
    places = np.full(table.shape, -1, np.intp)
    table[row_places, column_places] = overlaps
    places[row_places, column_places] = edges
    solved: Indices = places[linear_sum_assignment(table, maximize=True)]
    return solved[solved >= 0]


def _greedy(rows: Indices, columns: Indices, overlaps: Numbers) -> list[int]:
    """Edges, best first, that touch none that is taken."""
    chosen: list[int] = []
    taken_rows, taken_columns = set[int](), set[int]()
    for edge in np.argsort(-overlaps, kind="stable").tolist():
        row, column = int(rows[edge]), int(columns[edge])
        if row not in taken_rows and column not in taken_columns:
            taken_rows.add(row)
            taken_columns.add(column)
            chosen.append(edge)
    return chosen


def _overlapping(
    first: Numbers, second: Numbers, classes: tuple[Classes, Classes], least: float
) -> tuple[Indices, Indices, Numbers]:
    """Places [E] in either set, and IoU f64 [E], of all pairs of one class that overlap enough; by the first place."""
    found = list(_blocks(first, second, classes, least))
    if not found:
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
    rows, columns, overlaps = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((columns, rows))
    return rows[order], columns[order], overlaps[order]


def _blocks(
    first: Numbers, second: Numbers, classes: tuple[Classes, Classes], least: float
) -> Iterator[tuple[Indices, Indices, Numbers]]:
    """What `_overlapping` gives, for some of the first boxes at a time, from left to right."""
    ranks = np.argsort(first[:, 0], kind="stable")
    for start in range(0, len(first), _ROWS):
        rows = ranks[start : start + _ROWS]
        left, right = first[rows, 0].min(), first[rows, 2].max()
        columns = np.flatnonzero((second[:, 0] < right) & (second[:, 2] > left))
        overlaps = iou(first[rows], second[columns])
        overlaps[classes[0][rows, None] != classes[1][columns]] = 0
        if np.count_nonzero(overlaps >= least, axis=1).max(initial=0) > _MOST_PARTNERS:
            fewest = np.partition(overlaps, -_MOST_PARTNERS, axis=1)[:, -_MOST_PARTNERS, None]
            overlaps[overlaps < fewest] = 0
        row, column = np.nonzero(overlaps >= least)
        yield rows[row], columns[column], overlaps[row, column]


def iou(first: Numbers, second: Numbers) -> Numbers:
    """Intersection over union f64 [N, M] of boxes f64 [N, 4] and [M, 4]; 0 for boxes without area."""
    inside = _common(first[:, 0], first[:, 2], second[:, 0], second[:, 2])
    inside *= _common(first[:, 1], first[:, 3], second[:, 1], second[:, 3])
    union = _area(first)[:, None] + _area(second)
    union -= inside
    # Where nothing is common, 0 is divided by something.
    np.maximum(union, np.finfo(np.float64).tiny, out=union)
    inside /= union
    return inside


def _common(starts: Numbers, ends: Numbers, others: Numbers, other_ends: Numbers) -> Numbers:
    """Length f64 [N, M] that spans have in common."""
    length: Numbers = np.minimum(ends[:, None], other_ends)
    length -= np.maximum(starts[:, None], others)
    return np.maximum(length, 0, out=length)


def _area(boxes: Numbers) -> Numbers:
    area: Numbers = (boxes[:, 2] - boxes[:, 0]).clip(0) * (boxes[:, 3] - boxes[:, 1]).clip(0)
    return area
