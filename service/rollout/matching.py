"""Which object of one answer is which of another: greedy matching, the same from either side."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

LEAST_SIMILARITY = 0.5
"""Two objects less alike than this are two objects; the customary IoU of detection (Everingham et al., "The PASCAL
Visual Object Classes Challenge", IJCV 2010) and of panoptic quality."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one answer, in any order."""

    boxes: Numbers
    """f64 [N, 4]: x1, y1, x2, y2 in pixels."""
    scores: Numbers
    """f64 [N]."""
    labels: npt.NDArray[np.int64]
    """i64 [N]: class numbers; all 0 where there are no classes."""

    @classmethod
    def of(cls, found: list[Any], *, labelled: bool) -> "Objects":
        """Those of a typed result: dicts with ``box``, ``score`` and, if ``labelled``, ``index``."""
        boxes = [(box["x1"], box["y1"], box["x2"], box["y2"]) for box in (item["box"] for item in found)]
        return cls(
            np.array(boxes, np.float64).reshape(-1, 4),
            np.array([item["score"] for item in found], np.float64),
            np.array([item["index"] if labelled else 0 for item in found], np.int64),
        )

    def __len__(self) -> int:
        return len(self.scores)

    def places(self) -> Indices:
        """Each object's place [N] in an order that does not depend on the order of the objects."""
        places = np.empty(len(self), np.intp)
        places[np.lexsort((self.labels, *self.boxes.T, self.scores))] = np.arange(len(self))
        return places


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of objects that are the same thing, each object in one pair at most."""

    reference: Indices
    """i [K]: the pairs' objects in the one answer."""
    candidate: Indices
    """i [K]: and in the other."""
    similarity: Numbers
    """f64 [K]."""


def match(similarity: Numbers, reference: Objects, candidate: Objects) -> Matches:
    """Pair objects that are at least `LEAST_SIMILARITY` alike; ``similarity`` is f64 [N, M].

    Greedy, as COCO's evaluation is, but by similarity and not by score, for neither answer is the truth: both sides
    may be exchanged, and objects put in any order. Pairs of equal labels come first, whatever their similarity, as
    COCO matches within a class; what is left over then may find a partner of another label. Between equally similar
    pairs, the one with the smaller difference of scores is taken.
    """
    rows, columns = np.nonzero(similarity >= LEAST_SIMILARITY)
    alike = similarity[rows, columns]
    relabelled = reference.labels[rows] != candidate.labels[columns]
    apart = np.abs(reference.scores[rows] - candidate.scores[columns])
    # Two pairs that share an object never tie here, so the order does not depend on which side is which.
    places = reference.places()[rows] + candidate.places()[columns]
    chosen: list[int] = []
    taken_rows, taken_columns = [False] * len(reference), [False] * len(candidate)
    all_rows, all_columns = rows.tolist(), columns.tolist()
    for pair in np.lexsort((places, apart, -alike, relabelled)).tolist():
        row, column = all_rows[pair], all_columns[pair]
        if not (taken_rows[row] or taken_columns[column]):
            taken_rows[row] = taken_columns[column] = True
            chosen.append(pair)
    return Matches(rows[chosen], columns[chosen], alike[chosen])


def box_iou(reference: Numbers, candidate: Numbers) -> Numbers:
    """Intersection over union f64 [N, M] of boxes f64 [N, 4] and [M, 4]; a box without area equals only itself."""
    first, second = reference[:, None], candidate[None]
    corners = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    inside = corners.clip(0).prod(axis=2)
    union = area_of(reference)[:, None] + area_of(candidate)[None] - inside
    iou: Numbers = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
    if (union <= 0).any():
        iou[(union <= 0) & (first == second).all(axis=2)] = 1.0
    return iou


def area_of(boxes: Numbers) -> Numbers:
    """Areas f64 [N] of boxes f64 [N, 4]."""
    area: Numbers = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)
    return area
