"""When two answers are the same: near-ties are, different answers are not."""

import numpy as np
import pytest

from build_engines.agreement import UNUSABLE, agreement, box_iou, errors, paired, relative_error, telling
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


def test_objects_are_paired_whatever_their_order() -> None:
    """Two objects of nearly the same score, swapped, come into the reference's order with all that belongs to them."""
    scores = np.float32([[0.5001, 0.5, 0]])
    reference = objects(scores=scores, labels=np.int32([[1, 1, 0]]))
    turned = {name: values[:, [1, 0, 2]] for name, values in reference.items()}
    again = paired(reference, turned)
    assert all(np.array_equal(again[name], values) for name, values in reference.items())


def test_another_label_is_never_paired() -> None:
    """An object of another label stays without a partner, and the answers do not agree."""
    other = objects(labels=np.int32([[1, 1, 0]]))
    assert agreement(Task.DETECT, objects(), paired(objects(), other), 1e-3) == 0


def test_the_last_slot_may_be_contested() -> None:
    """Where all slots are taken, which of two nearly equal objects got the last one does not matter."""
    full = objects(scores=np.float32([[0.9, 0.5, 0.5]]))
    boxes = full["boxes"].copy()
    boxes[0, 2] = [0.2, 0.2, 0.3, 0.3]
    assert agreement(Task.DETECT, full, full | {"boxes": boxes}, 1e-3) == 1
    assert agreement(Task.DETECT, objects(), objects(boxes=objects()["boxes"] * np.float32(0.5)), 1e-3) == 0


def test_class_maps_agree_by_their_pixels() -> None:
    """A class map with one pixel in a thousand different is the same; with one in a hundred it is not."""
    reference = np.zeros((1, 100, 100), np.uint8)
    few, many = reference.copy(), reference.copy()
    few[0, 0, :10], many[0, 0, :] = 1, 1
    same = [agreement(Task.SEGMENT, {"class_map": reference}, {"class_map": each}, 1e-3) for each in (few, many)]
    assert same == [1, 0]


def test_segments_may_change_their_numbers() -> None:
    """A panoptic map whose two segments bear each other's number is the same; with the labels swapped it is not."""
    numbers = np.zeros((1, 4, 4), np.int32)
    numbers[0, :2] = 1
    labels = np.int32([[7, 8]])
    reference = {"segment_map": numbers, "segment_labels": labels}
    renumbered = {"segment_map": 1 - numbers, "segment_labels": labels[:, ::-1]}
    assert agreement(Task.SEGMENT, reference, renumbered, 1e-3) == 1
    assert agreement(Task.SEGMENT, reference, reference | {"segment_labels": labels[:, ::-1]}, 1e-3) == 0


def test_an_image_may_be_rounded_otherwise() -> None:
    """One level of an 8-bit image is rounding; ten are an error."""
    picture = np.full((1, 2, 2, 3), 100, np.uint8)
    assert errors({"images": picture}, {"images": picture + np.uint8(1)}) == {"images": 0}
    assert errors({"images": picture}, {"images": picture + np.uint8(11)}) == {"images": pytest.approx(0.1)}


def test_key_points_agree_by_their_places() -> None:
    """A key point moved by a thousandth of the input is the same; by a tenth it is another."""
    points = np.full((1, 2, 3, 3), 0.5, np.float32)
    reference = {"keypoints": points, "scores": np.float32([[0.9, 0]])}
    for shift, same in ((0.001, 1), (0.1, 0)):
        moved = reference | {"keypoints": points + np.float32(shift)}
        assert agreement(Task.KEYPOINTS, reference, moved, 1e-3) == same


def test_equal_answers_tell_nothing() -> None:
    """Outputs that are the same for every image are not telling; one that differs is."""
    assert not telling({"a": np.ones((3, 2))})
    assert telling({"a": np.ones((3, 2)), "b": np.arange(3)})


def test_boxes_that_do_not_touch_have_no_overlap() -> None:
    """The overlap is 0 of boxes apart, 1 of equal ones, a third of ones that share half their width."""
    first = np.float32([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 2, 1]])
    second = np.float32([[2, 2, 3, 3], [0, 0, 1, 1], [1, 0, 3, 1]])
    np.testing.assert_allclose(box_iou(first, second), [0, 1, 1 / 3], rtol=1e-6)
