"""When two answers are the same: near-ties are, different answers are not."""

import numpy as np
import pytest

from build_engines.agreement import UNUSABLE, agreement, aligned, box_iou, relative_error
from build_engines.artifact import Tensors
from contract.task import Task


def objects(**changes: object) -> Tensors:
    """One image with two objects and an empty slot."""
    boxes = np.float32([[[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0, 0, 1, 1]]])
    fields = {"boxes": boxes, "scores": np.float32([[0.9, 0.5, 0]]), "labels": np.int32([[2, 1, 0]])}
    return {**fields, **changes}


@pytest.mark.parametrize(
    ("answer", "same"),
    [([0.1, 0.6, 0.3], 1), ([0.1, 0.3, 0.6], 0), ([0.1, 0.59, 0.31], 1)],
)
def test_the_top_class_decides(answer: list[float], same: float) -> None:
    """Classifications agree where the most probable class is the same."""
    reference = {"probabilities": np.float32([[0.1, 0.6, 0.3]])}
    assert agreement(Task.CLASSIFY, reference, {"probabilities": np.float32([answer])}, 1e-3) == same


def test_a_near_tie_is_no_error() -> None:
    """Which of two equally probable classes comes first does not matter; which of two unequal ones does."""
    reference = {"probabilities": np.float32([[0.5, 0.5, 0], [0.5, 0.49, 0.01]])}
    swapped = {"probabilities": np.float32([[0.4999, 0.5001, 0], [0.49, 0.5, 0.01]])}
    assert agreement(Task.CLASSIFY, reference, swapped, 1e-3) == 0.5


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, 1),
        ({"labels": np.int32([[2, 1, 9]])}, 1),
        ({"labels": np.int32([[2, 3, 0]])}, 0),
        ({"scores": np.float32([[0.9, 0, 0]])}, 0),
        ({"boxes": objects()["boxes"][:, [1, 0, 2]]}, 0),
        ({"boxes": objects()["boxes"] * np.float32(0.99)}, 1),
    ],
)
def test_objects_agree_by_label_and_box(changes: Tensors, same: float) -> None:
    """Objects agree where as many are found with the same labels in nearly the same places; empty slots are free."""
    assert agreement(Task.DETECT, objects(), objects(**changes), 1e-3) == same


def test_masks_agree_by_their_pixels() -> None:
    """A mask that moved by half its width is another; a few pixels of its edge are not."""
    masks = np.zeros((1, 3, 20, 20), np.float32)
    masks[:, :, 5:15, 5:15] = 1
    nibbled, moved = masks.copy(), np.roll(masks, 5, axis=3)
    nibbled[:, :, 5, 5:8] = 0
    assert agreement(Task.SEGMENT, objects(masks=masks), objects(masks=nibbled), 1e-3) == 1
    assert agreement(Task.SEGMENT, objects(masks=masks), objects(masks=moved), 1e-3) == 0


def test_embeddings_agree_by_direction() -> None:
    """Embeddings agree by their cosine, whatever their length."""
    reference = {"embedding": np.float32([[1, 2, 3]])}
    assert agreement(Task.EMBED, reference, {"embedding": np.float32([[2, 4, 6]])}, 1e-3) == 1
    assert agreement(Task.EMBED, reference, {"embedding": np.float32([[3, 2, 1]])}, 1e-3) == 0


def test_text_maps_agree_above_their_threshold() -> None:
    """Maps of text agree where the same pixels reach the threshold."""
    reference = {"probability": np.pad(np.full((1, 10, 10), 0.9, np.float32), ((0, 0), (5, 5), (5, 5)))}
    assert agreement(Task.REGIONS, reference, {"probability": reference["probability"] * 0.5}, 1e-3) == 1
    assert agreement(Task.REGIONS, reference, {"probability": reference["probability"] * 0.2}, 1e-3) == 0


def test_relative_error_is_the_largest() -> None:
    """The error is the largest difference over the largest magnitude, of whichever output is worst."""
    reference = {"a": np.float32([[1, -4]]), "b": np.float32([[10, 0]])}
    assert relative_error(reference, {"a": np.float32([[1, -3]]), "b": np.float32([[10, 1]])}) == 0.25


@pytest.mark.parametrize(
    "answer", [{}, {"a": np.float32([[1]])}, {"a": np.float32([[1, np.nan]])}, {"a": np.float32([[np.inf, 0]])}]
)
def test_what_is_no_answer_is_unusable(answer: Tensors) -> None:
    """An absent output, one of another shape, and one that is not numbers have no error but the largest."""
    assert relative_error({"a": np.float32([[1, 2]])}, answer) == UNUSABLE


def test_a_reference_without_numbers_is_unusable() -> None:
    """NaN in the source is not equal to any answer."""
    assert relative_error({"a": np.float32([[1, np.nan]])}, {"a": np.float32([[1, 2]])}) == UNUSABLE


def test_alignment_orders_by_label() -> None:
    """Two objects of nearly the same score, swapped, come into the same order with all that belongs to them."""
    turned = {name: values[:, [1, 0, 2]] for name, values in objects().items()}
    first, second = aligned(objects()), aligned(turned)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_boxes_that_do_not_touch_have_no_overlap() -> None:
    """The overlap is 0 of boxes apart, 1 of equal ones, a third of ones that share half their width."""
    first = np.float32([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 2, 1]])
    second = np.float32([[2, 2, 3, 3], [0, 0, 1, 1], [1, 0, 3, 1]])
    np.testing.assert_allclose(box_iou(first, second), [0, 1, 1 / 3], rtol=1e-6)
