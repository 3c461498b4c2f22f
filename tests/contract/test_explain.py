"""Explain: heat maps of a classifier, mapped to the image as sent."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from contract.preprocess import Geometry
from contract.tasks.classify import CLASSIFY
from contract.tasks.definition import InvalidParameter, UnusableOutput
from contract.tasks.explain import EXPLAIN, ExplainParameters, aligned, can_explain
from contract.tasks.maps import decode_map
from tests.cards import a_card, a_tensor
from tests.contract.answers import MODES, WIDE, answer

A_CARD = a_card(labels=("crane", "dog", "crane", "285"))
RAMP = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)


def outputs(heat: Any = RAMP, explained: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    """What a model of four classes puts out: a map for each of two."""
    return {
        "probabilities": np.float32([0.1, 0.6, 0.2, 0.1]),
        "explained": np.int32(explained),
        "heat": np.float32([np.asarray(heat) * (slot + 1) for slot in range(len(explained))]),
    }


def explained(given: dict[str, Any] | None = None, **parameters: Any) -> Any:
    """The answer to an image of 100 x 100 pixels, its map decoded."""
    result = answer(EXPLAIN, given or outputs(), card=A_CARD, **{"encoding": "npy", **parameters})
    return {**result, "map": decode_map(result["map"])}


def test_the_most_probable_class_is_explained_unless_another_is_asked_for() -> None:
    """Without a parameter the first of the explained classes is answered, with its label and probability."""
    result = answer(EXPLAIN, outputs(), card=A_CARD, setting={"explanation": "legrad"})
    assert result["class"] == {"label": "dog", "index": 1, "score": 0.6}
    assert (result["map"]["format"], result["map"]["min"], result["map"]["max"]) == ("png", 0.0, 1.0)
    assert result["method"] == "legrad"


@pytest.mark.parametrize(("wanted", "index"), [(2, 2), ("2", 2), ("crane", 2), ("dog", 1)])
def test_a_class_is_named_by_number_or_label(wanted: int | str, index: int) -> None:
    """Of a label that two classes bear, the explained one is meant."""
    assert explained(**{"class": wanted})["class"]["index"] == index


def test_a_number_that_is_a_label_means_the_label() -> None:
    """``285`` is the fourth class here, and no class 285 exists."""
    assert explained(outputs(explained=(3, 1)), **{"class": "285"})["class"]["index"] == 3


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("0", r"class '0' is not among .*: dog \(1\), crane \(2\)"),
        (3, "not among"),
        ("4", "no class 4; it has 0 to 3"),
        ("9" * 5000, "has no class"),
        ("cat", "does not know the label 'cat'"),
        ("²", "does not know the label"),
        ("", "does not know the label"),
    ],
)
def test_a_class_that_is_not_explained_is_refused(wanted: int | str, says: str) -> None:
    """The message lists those that are explained; a label or a number that no class has is told from that."""
    with pytest.raises(InvalidParameter, match=says):
        explained(**{"class": wanted})


@pytest.mark.parametrize("wanted", [-1, 1.5, True, ["dog"]])
def test_a_class_is_a_number_or_a_label(wanted: Any) -> None:
    """Anything else is refused by its type; so is the field's name in Python."""
    with pytest.raises(ValidationError):
        ExplainParameters.model_validate({"class": wanted})
    with pytest.raises(ValidationError):
        ExplainParameters.model_validate({"class_": 1})


def test_what_speaks_against_the_class_is_nothing() -> None:
    """Negative heat becomes 0, the most becomes 1, and between them it grows evenly."""
    found = explained(outputs(np.float32([[-5, -5, 0, 0], [-5, -5, 0, 0], [1, 1, 2, 2], [1, 1, 2, 2]])))["map"]
    assert found[:30, :30].max() == 0
    assert found[-20:, -20:].min() == found.max() == 1
    np.testing.assert_allclose(found[-10:, 5:20], 0.5, atol=1e-6)


@pytest.mark.parametrize("value", [-3.0, 0.0, 7.0, 1e30, 1e-42])
def test_a_plain_map_is_nothing(value: float) -> None:
    """Where no place says more than another, the whole map is 0."""
    assert not explained(outputs(np.full((4, 4), value, np.float32)))["map"].any()


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, (3, 5), elements=st.floats(-(2.0**99), 2.0**99, width=32)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.sampled_from(sorted(MODES)),
)
def test_a_map_covers_the_image_and_lies_in_0_to_1(heat: Any, size: tuple[int, int], mode: str) -> None:
    """Whatever the model puts out, the map is of the image's size, in 0…1, plain or reaching 1, and 0 if not seen."""
    geometry = Geometry.of(*size, MODES[mode])
    result = answer(EXPLAIN, outputs(heat), geometry, A_CARD, encoding="npy")
    found = decode_map(result["map"])
    assert found.shape == size[::-1]
    assert found.min() == 0
    assert found.max() in {0, 1}
    rows, columns = geometry.seen
    unseen = found.copy()
    unseen[rows, columns] = 0
    assert not unseen.any()


def test_the_place_is_that_of_the_image_as_sent() -> None:
    """A hot corner of the network's input is that corner of what a letterbox left of the image."""
    heat = np.zeros((4, 4), np.float32)
    heat[1, 0] = 1
    found = decode_map(
        answer(EXPLAIN, outputs(heat), Geometry.of(200, 100, MODES["letterbox"]), A_CARD, encoding="npy")["map"]
    )
    row, column = np.unravel_index(found.argmax(), found.shape)
    # The input's second quarter from the top is the image's upper half.
    assert row < 50
    assert column < 50


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
def test_extreme_images_are_explained(size: tuple[int, int]) -> None:
    """A single pixel, and a line of 20,000."""
    found = answer(EXPLAIN, outputs(), Geometry.of(*size, WIDE), A_CARD, encoding="npy")
    assert decode_map(found["map"]).shape == size[::-1]


@pytest.mark.parametrize("name", ["probabilities", "heat"])
def test_numbers_that_are_none_are_no_answer(name: str) -> None:
    """NaN in a tensor that the answer is made of is the model's fault."""
    given = outputs()
    given[name][0] = np.nan
    with pytest.raises(UnusableOutput, match=name):
        explained(given)


def test_classes_that_are_none_are_no_answer() -> None:
    """A class beyond the probabilities is the model's fault."""
    with pytest.raises(UnusableOutput, match="no classes"):
        explained(outputs(explained=(1, 4)))


def test_classify_is_not_touched_by_the_further_outputs() -> None:
    """The answer to classify is the same with them as without."""
    given = outputs()
    alone = {"probabilities": given["probabilities"]}
    assert answer(CLASSIFY, given, card=A_CARD) == answer(CLASSIFY, alone, card=A_CARD)
    assert set(given) in CLASSIFY.output_sets


def test_a_classifier_with_heat_can_explain() -> None:
    """And no other model can."""
    heat = (a_tensor("probabilities", 3), a_tensor("explained", 2), a_tensor("heat", 2, 4, 4))
    assert can_explain(a_card(outputs=heat))
    assert not can_explain(a_card())


def test_two_runs_are_compared_class_by_class() -> None:
    """Classes that are nearly as probable may be exchanged, with their maps; then the runs are the same."""
    one = outputs() | {"probabilities": np.float32([0.1, 0.45, 0.4499, 0.1])}
    other = one | {"explained": one["explained"][::-1], "heat": one["heat"][::-1]}
    found = aligned(one, other, 1e-3)
    assert all(np.array_equal(found[name], one[name]) for name in one)


def test_a_class_that_is_left_out_is_not_compared() -> None:
    """Of two that compete for the last place either may win; the other maps stay what they are."""
    one = outputs() | {"probabilities": np.float32([0.1, 0.6, 0.15, 0.15])}
    other = one | {"explained": np.int32([1, 3]), "heat": one["heat"] + 9}
    found = aligned(one, other, 1e-3)
    assert found["explained"].tolist() == [1, 2]
    np.testing.assert_array_equal(found["heat"][1], one["heat"][1])
    np.testing.assert_array_equal(found["heat"][0], one["heat"][0] + 9)


@pytest.mark.parametrize("explained", [(2, 1), (1, 0), (1, 9), (1, -1), (1,)])
def test_another_order_stays_another(explained: tuple[int, ...]) -> None:
    """Where probabilities differ, or classes are none, nothing is put in order."""
    other = outputs(explained=explained)
    assert aligned(outputs(), other, 1e-3) is other


def test_outputs_without_heat_are_left_alone() -> None:
    """As those of any other task."""
    boxes = {"boxes": np.zeros((1, 4))}
    assert aligned(boxes, boxes, 1e-3) is boxes
