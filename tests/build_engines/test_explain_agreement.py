"""When two sets of heat maps are the same: the order of equals says nothing, everything else does."""

import numpy as np
import pytest

from build_engines.agreement import UNUSABLE, agreement, errors, paired
from build_engines.artifact import Tensors
from contract.task import Task

TOLERANCE = 1e-3
HEAT = np.arange(1, 13, dtype=np.float32).reshape(1, 3, 2, 2)


def answer(probabilities: list[float], explained: list[int], heat: np.ndarray = HEAT) -> Tensors:
    """One image's answer: three of five classes explained."""
    return {"probabilities": np.float32([probabilities]), "explained": np.int32([explained]), "heat": heat}


REFERENCE = answer([0.3, 0.3, 0.2, 0.1, 0.1], [0, 1, 2])


def compared(engine: Tensors) -> tuple[float, float]:
    """The largest error, and the agreement."""
    given = paired(REFERENCE, engine)
    return max(errors(REFERENCE, given).values()), agreement(Task.CLASSIFY, REFERENCE, given, TOLERANCE)


def test_the_order_of_equals_says_nothing() -> None:
    """Two classes that are as probable may be exchanged, and their maps with them."""
    error, same = compared(answer([0.29999, 0.30001, 0.2, 0.1, 0.1], [1, 0, 2], HEAT[:, [1, 0, 2]]))
    assert error < TOLERANCE
    assert same == 1


def test_maps_that_are_exchanged_alone_are_found() -> None:
    """The classes' order is right, and their maps are each other's."""
    assert compared(answer([0.3, 0.3, 0.2, 0.1, 0.1], [0, 1, 2], HEAT[:, [1, 0, 2]]))[0] > TOLERANCE


@pytest.mark.parametrize("explained", [[2, 0, 1], [0, 2, 1], [0, 1, 3], [0, 1, 1], [0, 1, 9], [0, 1, -1]])
def test_a_wrong_order_is_found(explained: list[int]) -> None:
    """Classes that do not come by their probabilities, come twice, or are none, do not agree."""
    assert compared(answer([0.3, 0.3, 0.2, 0.1, 0.1], explained))[1] == 0


def test_which_of_two_equals_is_left_out_says_nothing() -> None:
    """Two classes as probable may compete for the last place; the other maps are still compared."""
    reference = answer([0.4, 0.25, 0.1, 0.1, 0.15], [0, 1, 4])
    last = {**reference, "probabilities": np.float32([[0.4, 0.25, 0.15, 0.1, 0.15]])}
    engine = {**last, "explained": np.int32([[0, 1, 2]]), "heat": HEAT.copy()}
    engine["heat"][0, 2] = 99
    assert errors(last, paired(last, engine))["heat"] == 0
    assert agreement(Task.CLASSIFY, last, paired(last, engine), TOLERANCE) == 1
    engine["heat"][0, 0] = 99
    assert errors(last, paired(last, engine))["heat"] > TOLERANCE


def test_maps_of_which_none_can_be_compared_are_unusable() -> None:
    """Where not a single class is explained by both, nothing is proven."""
    assert errors(REFERENCE, answer([0.3, 0.3, 0.2, 0.1, 0.1], [3, 4, 0]))["heat"] == UNUSABLE
    assert errors(REFERENCE, {**REFERENCE, "heat": HEAT[:, :2]})["heat"] == UNUSABLE
