"""How far two versions disagree on one image."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.task import Task
from service.inference import Query
from service.rollout.disagreement import WAYS, Disagreement, disagreement
from tests.service.rollout.answers import (
    ANSWERS,
    HEIGHT,
    RELATIVE_DEPTH,
    SEMANTIC,
    SIZE,
    WIDTH,
    box,
    classes,
    detected,
    found,
    mapped,
    pictured,
    polygon,
    segment,
    segments,
)
from tests.service.running import Running, encode

KINDS = [*ANSWERS.items(), (Task.SEGMENT, SEMANTIC), (Task.DEPTH, RELATIVE_DEPTH)]
kinds = pytest.mark.parametrize(("task", "answers"), KINDS)
LISTS = {Task.DETECT: "objects", Task.SEGMENT: "segments", Task.REGIONS: "regions", Task.KEYPOINTS: "people"}
A, SHIFTED, FAR = box(0, 0, 10, 10), box(0, 0, 10, 8), box(50, 50, 60, 60)
LEFT = np.arange(WIDTH) < WIDTH // 2
HALF = np.broadcast_to(LEFT, (HEIGHT, WIDTH)).copy()
QUARTER = HALF & (np.arange(HEIGHT) < HEIGHT // 2)[:, None]


def person(*points: tuple[float, float], sure: float = 0.9) -> dict[str, Any]:
    """Someone in a box of 100 pixels, all joints equally sure."""
    joints = [{"name": "", "x": x, "y": y, "score": sure} for x, y in points]
    return {"score": 0.8, "box": box(0, 0, 100, 100), "keypoints": joints}


def embedded(*vector: float) -> dict[str, Any]:
    """An embedding's answer."""
    return {"image": SIZE, "embedding": list(vector), "dimension": len(vector)}


def compare(task: Task, reference: Any, candidate: Any) -> Disagreement:
    """Compare, and hold the answer to what all answers promise."""
    result = disagreement(task, reference, candidate)
    assert 0 <= result.share <= 1
    assert all(np.isfinite(value) and type(value) is float for value in (result.share, *result.figures.values()))
    return result


def test_every_task_has_a_way() -> None:
    """No task was forgotten, here or in the drawn answers."""
    assert set(WAYS) == set(ANSWERS) == set(Task) - {Task.EXPLAIN}


@pytest.mark.parametrize("task", sorted(WAYS.keys() - {Task.CLASSIFY_VIDEO}))
async def test_what_the_service_answers_can_be_compared(service: Running, task: Task) -> None:
    """Answers by default parameters are of the form that is compared: equal for one image, unequal for two."""
    noise = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), np.uint8)
    bright, dark = encode(noise[0] // 2 + 128), encode(noise[1] // 2 + 20)
    queries = [Query(task, None, [image], {}) for image in (bright, bright, dark)]
    first, again, other = [(await service.application.inference.predict(query)).results[0] for query in queries]

    assert compare(task, first, again).share == pytest.approx(0, abs=1e-12)
    assert compare(task, first, other) != compare(task, first, first)


@kinds
def test_an_answer_agrees_with_itself(task: Task, answers: st.SearchStrategy) -> None:
    """Equal answers differ by nothing."""

    @settings(max_examples=30, deadline=None)
    @given(answers)
    def proof(answer: Any) -> None:
        assert compare(task, answer, answer).share == pytest.approx(0, abs=1e-12)

    proof()


@kinds
def test_neither_side_is_the_truth(task: Task, answers: st.SearchStrategy) -> None:
    """The share is within 0…1, and the same from either side."""

    @settings(max_examples=50, deadline=None)
    @given(answers, answers)
    def proof(first: Any, second: Any) -> None:
        there, back = compare(task, first, second), compare(task, second, first)
        assert there.share == pytest.approx(back.share, abs=1e-12)

    proof()


@pytest.mark.parametrize("task", LISTS)
def test_the_order_of_objects_says_nothing(task: Task) -> None:
    """Objects in another order give the same numbers."""

    @settings(max_examples=50, deadline=None)
    @given(ANSWERS[task], ANSWERS[task], st.randoms(use_true_random=False))
    def proof(first: Any, second: Any, dice: random.Random) -> None:
        shuffled = {**second, LISTS[task]: dice.sample(second[LISTS[task]], len(second[LISTS[task]]))}
        assert compare(task, first, second) == compare(task, first, shuffled)

    proof()


@pytest.mark.parametrize("task", LISTS)
def test_nothing_agrees_with_nothing_and_differs_from_something(task: Task) -> None:
    """Two empty answers are the same, an empty one and any other have nothing in common."""
    something = {
        Task.DETECT: found(A),
        Task.SEGMENT: segment(HALF, score=0.5),
        Task.REGIONS: polygon((0, 0), (9, 0), (9, 9)),
        Task.KEYPOINTS: person((5, 5)),
    }
    empty, full = ({"image": SIZE, LISTS[task]: some} for some in ([], [something[task]]))

    assert [compare(task, *two).share for two in ((empty, empty), (empty, full), (full, empty))] == [0, 1, 1]


def test_classes_differ_by_their_total_variation() -> None:
    """With all classes shown, the share is the total variation distance."""
    result = compare(Task.CLASSIFY, classes((0, 0.6), (1, 0.4)), classes((1, 0.7), (0, 0.3)))

    assert result.share == pytest.approx(0.3)
    assert result.figures["top1_flip"] == 1


@settings(deadline=None)
@given(st.integers(0, 2**16), st.integers(0, 2**16), st.integers(1, 8))
def test_truncated_lists_never_overstate(first: int, second: int, shown: int) -> None:
    """The best classes alone never show a larger distance than all classes have."""
    p, q = (np.random.default_rng(seed).dirichlet([0.5] * 8) for seed in (first, second))
    best = [classes(*((int(i), float(v[i])) for i in np.argsort(-v, kind="stable")[:shown])) for v in (p, q)]

    assert compare(Task.CLASSIFY, *best).share <= np.abs(p - q).sum() / 2 + 1e-9


def test_noise_among_unlikely_classes_says_nothing() -> None:
    """A class that drops out of the list by a hair does not differ."""
    result = compare(Task.CLASSIFY, classes((0, 0.9), (1, 0.02)), classes((0, 0.9), (2, 0.02)))

    assert result.share == 0
    assert result.figures["top1_flip"] == 0


def test_independent_labels_differ_by_a_share_of_their_sum() -> None:
    """Scores that add to more than 1 still give a share below 1."""
    result = compare(Task.CLASSIFY, classes((0, 0.9), (1, 0.9)), classes((0, 0.9), (1, 0.0)))

    assert result.share == pytest.approx(0.5)


def test_no_class_against_some() -> None:
    """An answer without classes has nothing in common with one that has some."""
    assert compare(Task.CLASSIFY, classes(), classes((0, 0.2))).share == 1
    assert compare(Task.CLASSIFY, classes(), classes()).share == 0


def test_objects_missed_extra_and_relabelled_are_counted() -> None:
    """Each way to differ has its number; an object found by both counts by its IoU."""
    first = detected(found(A, 1, 0.9), found(FAR, 2), found(box(20, 0, 30, 10), 3))
    second = detected(found(SHIFTED, 1, 0.7), found(FAR, 5), found(box(20, 20, 30, 30), 3), found(A, 1, 0.2))
    result = compare(Task.DETECT, first, second)

    assert result.share == pytest.approx(1 - 2 * 1 / 7)
    assert result.figures == {
        "matched": 1, "missed": 1, "extra": 2, "label_flips": 1, "mean_iou": 1, "score_difference": pytest.approx(0.7),
    }  # fmt: skip


def test_a_shifted_box_differs_a_little() -> None:
    """A box with an IoU of 0.8 differs by 0.2."""
    assert compare(Task.DETECT, detected(found(A)), detected(found(SHIFTED))).share == pytest.approx(0.2)


def test_instances_are_matched_by_their_masks() -> None:
    """Instances in one box whose masks do not meet are two instances."""
    left, right = segment(HALF, score=0.5), segment(~HALF, score=0.5) | {"box": segment(HALF)["box"]}

    assert compare(Task.SEGMENT, segments(left), segments(right)).figures["missed"] == 1
    assert compare(Task.SEGMENT, segments(left), segments(left)).figures["mean_iou"] == 1


def test_semantic_labels_differ_by_their_pixels() -> None:
    """The share is of pixels, the mean IoU of labels; a label on one side only has an IoU of 0."""
    result = compare(Task.SEGMENT, segments(segment(HALF, 1)), segments(segment(QUARTER, 1), segment(~HALF, 2)))

    assert result.figures == {"labels_missed": 0, "labels_extra": 1, "mean_iou": 0.25}
    assert result.share == pytest.approx(1 - 2 * 120 / (240 + 120 + 240))


def test_masks_in_another_form_are_refused() -> None:
    """Masks that were not asked for as run lengths cannot be compared, and the message says what to ask for."""
    outlined = segments(segment(HALF, 1, 0.5) | {"mask": {"format": "polygon", "points": []}})

    with pytest.raises(ValueError, match="mask_format rle"):
        disagreement(Task.SEGMENT, outlined, outlined)


def test_vectors_differ_by_their_angle() -> None:
    """A right angle is nothing in common, and so is anything beyond."""
    shares = [
        compare(Task.EMBED, embedded(1, 0), embedded(*other)).share for other in ((2, 0), (1, 1), (0, 1), (-1, 0))
    ]

    assert shares == pytest.approx([0, 1 - 0.5**0.5, 1, 1])


def test_vectors_of_any_encoding_compare() -> None:
    """A vector as bytes is the vector."""
    coded = embedded(3, 4) | {"embedding": np.array([3, 4], "<f4").tobytes()}

    assert compare(Task.EMBED, embedded(3, 4), coded) == Disagreement(0.0, {"cosine": 1.0})


def test_zero_vectors_and_other_sizes() -> None:
    """A zero vector is like itself only, and vectors of different length are not comparable."""
    assert compare(Task.EMBED, embedded(0, 0), embedded(0, 0)).share == 0
    assert compare(Task.EMBED, embedded(0, 0), embedded(1, 0)).share == 1
    assert compare(Task.EMBED, embedded(1, 0), embedded(1, 0, 0)).share == 1


def test_metres_differ_by_their_ratio() -> None:
    """Depth in metres is compared as it is: twice as far is half agreed."""
    near, far = (mapped(np.full((4, 4), metres), quantity="metres") for metres in (2, 4))

    assert compare(Task.DEPTH, near, far) == Disagreement(0.5, {"abs_rel": 1.0, "delta_1": 0.0})


@settings(deadline=None)
@given(st.floats(0.1, 10), st.floats(-5, 5))
def test_other_depths_have_no_scale_and_shift(scale: float, shift: float) -> None:
    """Depth of another quantity is the same under any scale and shift; upside down it is not."""
    values = np.random.default_rng(0).random((8, 8))
    moved, against = (mapped(sign * values * scale + shift) for sign in (1, -1))

    assert compare(Task.DEPTH, mapped(values), moved).share == pytest.approx(0, abs=1e-4)
    assert compare(Task.DEPTH, mapped(values), against).share > 0.9


def test_mattes_differ_by_their_foreground() -> None:
    """A small foreground that is gone is all that there was, however small its part of the image."""
    nothing, small, half = np.zeros((10, 10)), np.zeros((10, 10)), np.zeros((10, 10))
    small[0, :2] = 1.0
    half[0, :2] = 0.5
    mattes = [mapped(alpha) for alpha in (nothing, small, half)]

    assert compare(Task.MATTE, mattes[0], mattes[1]) == Disagreement(1.0, {"mad": 0.02})
    assert compare(Task.MATTE, mattes[1], mattes[2]).share == pytest.approx(0.5)
    assert compare(Task.MATTE, mattes[0], mattes[0]).share == 0


def test_pictures_differ_by_their_error() -> None:
    """The share is the root mean square of the error; the PSNR says the same in decibels."""
    black, grey = (pictured(np.full((4, 6, 3), value, np.uint8)) for value in (0, 51))

    assert compare(Task.RESTORE, black, grey).share == pytest.approx(0.2)
    assert compare(Task.RESTORE, black, grey).figures["psnr"] == pytest.approx(13.979, abs=1e-3)
    assert compare(Task.RESTORE, black, black).figures["psnr"] == 100


@pytest.mark.parametrize("task", [Task.DEPTH, Task.MATTE, Task.RESTORE])
def test_maps_of_other_sizes_have_nothing_in_common(task: Task) -> None:
    """A map twice the size is another answer."""
    make = pictured if task is Task.RESTORE else mapped
    first, second = (make(np.full((side, side, 3)[: 3 if task is Task.RESTORE else 2], 7, np.uint8)) for side in (4, 8))

    assert compare(task, first, second) == Disagreement(1.0, {})


def test_people_differ_by_their_joints() -> None:
    """A joint off by the falloff's distance keeps exp(-1/2) of its agreement."""
    first, second = ({"image": SIZE, "people": [person((50, 50), (x, 20))]} for x in (20, 30))

    assert compare(Task.KEYPOINTS, first, second).figures["mean_oks"] == pytest.approx((1 + np.exp(-0.5)) / 2)


def test_unsure_joints_hardly_count() -> None:
    """Key points that neither version is sure of may lie anywhere."""
    first, second = ({"image": SIZE, "people": [person((50, 50))]} for _ in range(2))
    for result, x in ((first, 0.0), (second, 90.0)):
        result["people"][0]["keypoints"].append({"name": "", "x": x, "y": 0.0, "score": 0.01})

    assert compare(Task.KEYPOINTS, first, second).share < 0.02


def test_regions_are_compared_by_what_they_cover() -> None:
    """Two triangles that share a box but not their pixels are two regions."""
    upper = {"image": SIZE, "regions": [polygon((0, 0), (16, 0), (0, 16))]}
    lower = {"image": SIZE, "regions": [polygon((16, 16), (16, 0), (0, 16))]}

    assert compare(Task.REGIONS, upper, lower).figures["missed"] == 1
    assert compare(Task.REGIONS, upper, upper).share == 0


def test_a_region_below_a_pixel_is_still_itself() -> None:
    """Regions too small to hold a pixel are compared by their boxes."""
    speck = {"image": SIZE, "regions": [polygon((5.1, 5.1), (5.3, 5.1), (5.3, 5.3), (5.1, 5.3))]}

    assert compare(Task.REGIONS, speck, speck).share == 0
