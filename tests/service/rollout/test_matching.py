"""Pairing objects of two answers."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.rollout.matching import Objects, box_iou, match
from tests.service.rollout.answers import box, boxes, found

A, NEAR_A, FAR = box(0, 0, 10, 10), box(0, 0, 10, 8), box(50, 50, 60, 60)


def objects(*some: dict) -> Objects:
    """Objects of an answer."""
    return Objects.of(list(some), labelled=True)


def pairs(first: Objects, second: Objects) -> list[tuple[int, int]]:
    """The pairs that are made, by IoU of the boxes."""
    matches = match(box_iou(first.boxes, second.boxes), first, second)
    return sorted(zip(matches.reference.tolist(), matches.candidate.tolist(), strict=True))


def test_iou_of_boxes_by_hand() -> None:
    """The IoU of two boxes is the area that they share, of the area that either covers."""
    iou = box_iou(np.array([[0.0, 0, 10, 10]]), np.array([[0.0, 0, 10, 8], [5, 5, 15, 15], [10, 0, 20, 10]]))

    assert iou.tolist() == [[0.8, 25 / 175, 0.0]]


def test_a_box_without_area_equals_itself() -> None:
    """A box without area is like the same box, and like no other."""
    iou = box_iou(np.array([[3.0, 3, 3, 9]]), np.array([[3.0, 3, 3, 9], [4, 3, 4, 9], [0, 0, 10, 10]]))

    assert iou.tolist() == [[1.0, 0.0, 0.0]]


def test_the_more_similar_pair_is_taken() -> None:
    """An object goes with the one that it is most like."""
    assert pairs(objects(found(A)), objects(found(NEAR_A), found(A))) == [(0, 1)]


def test_the_same_label_comes_before_the_better_box() -> None:
    """A pair of equal labels is taken before a better fitting one of different labels."""
    assert pairs(objects(found(A, 1)), objects(found(A, 2), found(NEAR_A, 1))) == [(0, 1)]


def test_another_label_is_better_than_no_partner() -> None:
    """Objects at the same place are paired though their labels differ, if neither has a partner of its own label."""
    assert pairs(objects(found(A, 1)), objects(found(A, 2), found(FAR, 1))) == [(0, 0)]


def test_objects_apart_are_not_paired() -> None:
    """Less than half an IoU is no match."""
    assert pairs(objects(found(A)), objects(found(FAR), found(box(0, 0, 10, 4.9)))) == []


def test_equal_boxes_are_paired_by_their_scores() -> None:
    """Between boxes at one place, the nearer score decides."""
    first, second = (
        objects(found(A, score=0.9), found(A, score=0.4)),
        objects(found(A, score=0.41), found(A, score=0.95)),
    )

    assert pairs(first, second) == [(0, 1), (1, 0)]


@settings(deadline=None)
@given(st.lists(boxes(), max_size=6), st.lists(boxes(), max_size=6))
def test_each_object_is_in_one_pair_at_most(first: list, second: list) -> None:
    """No object is matched twice, and no pair is left that could still be made."""
    ones, others = objects(*map(found, first)), objects(*map(found, second))
    iou = box_iou(ones.boxes, others.boxes)
    matches = match(iou, ones, others)

    left = np.delete(np.delete(iou, matches.reference, 0), matches.candidate, 1)
    assert len(set(matches.reference)) == len(set(matches.candidate)) == len(matches.similarity)
    assert left.size == 0 or left.max() < 0.5
