"""Keypoints: people's joints in pixels of the image as sent."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.preprocess import Geometry
from contract.tasks.definition import UnusableOutput
from contract.tasks.keypoints import KEYPOINTS
from tests.contract.answers import MODES, answer

PERSON = [[0.1, 0.2, 0.9], [0.5, 0.6, 0.8], [0.9, 0.9, 0.1]]


def people(*scores: float, **more: Any) -> dict[str, Any]:
    """The tensors of people who all stand alike."""
    return {
        "keypoints": np.tile(np.float32(PERSON), (len(scores), 1, 1)),
        "scores": np.float32(scores),
        **more,
    }


@given(
    size=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    shares=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20),
    mode=st.sampled_from(["stretch", "letterbox", "letterbox, top left"]),
)
def test_points_of_the_image_come_back(size: tuple[int, int], shares: list[tuple[float, float]], mode: str) -> None:
    """A place in the image, put where preprocessing puts it in the input, is answered as that place."""
    geometry = Geometry.of(*size, MODES[mode])
    points = np.float32(shares) * np.float32(size)
    inside = geometry.to_input(points) / np.float32([geometry.input_width, geometry.input_height])
    keypoints = np.concatenate([inside, np.ones((len(points), 1), np.float32)], axis=1)[None]

    (person,) = answer(KEYPOINTS, {"keypoints": keypoints, "scores": np.float32([1])}, geometry)["people"]
    back = np.array([(point["x"], point["y"]) for point in person["keypoints"]])
    # A hundredth of a pixel is rounded away; the rest is single precision.
    np.testing.assert_allclose(back, points, rtol=0, atol=0.006 + 2e-6 * max(size))


def test_people_come_best_first_above_the_threshold() -> None:
    """People are those of at least the caller's threshold, else the card's; best first, at most ``max_people``."""
    outputs = people(0.4, 0.9, 0, 0.2)

    def scores(**asked: Any) -> list[float]:
        return [person["score"] for person in answer(KEYPOINTS, outputs, **asked)["people"]]

    assert scores() == [0.9, 0.4]
    assert scores(setting={"score_threshold": 0.5}) == [0.9]
    assert scores(score_threshold=0) == [0.9, 0.4, 0.2]
    assert scores(max_people=1) == [0.9]


def test_key_points_have_names_or_numbers() -> None:
    """A key point is called by the card's name for it, or by its number; unsure ones are answered, too."""
    (person,) = answer(KEYPOINTS, people(0.9), setting={"names": ["nose", "hand"]})["people"]

    assert [point["name"] for point in person["keypoints"]] == ["nose", "hand", "2"]
    assert person["keypoints"][0] == {"name": "nose", "x": 10, "y": 20, "score": 0.9}
    assert person["keypoints"][2]["score"] == pytest.approx(0.1)


def test_a_box_is_the_models_or_that_of_the_sure_key_points() -> None:
    """The model's own box goes first; without one it is that of the key points that are sure, else of all."""

    def box(outputs: dict[str, Any], **setting: float) -> list[float]:
        return list(answer(KEYPOINTS, outputs, setting=setting)["people"][0]["box"].values())

    assert box(people(0.9, boxes=np.float32([[0, 0.1, 1, 1]]))) == [0, 10, 100, 100]
    assert box(people(0.9)) == [10, 20, 50, 60]
    assert box(people(0.9), keypoint_threshold=1) == [10, 20, 90, 90]


@pytest.mark.parametrize("name", ["keypoints", "scores", "boxes"])
def test_people_that_are_no_numbers_are_refused(name: str) -> None:
    """NaN in a tensor that is answered from is UnusableOutput; in an empty slot nobody looks at it."""
    outputs = people(0.9, 0, boxes=np.float32([[0, 0, 1, 1]] * 2))
    if name != "scores":
        outputs[name][1] = np.nan
        assert len(answer(KEYPOINTS, outputs)["people"]) == 1
    outputs[name][0] = np.nan

    with pytest.raises(UnusableOutput, match=name):
        answer(KEYPOINTS, outputs)
