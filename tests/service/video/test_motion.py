"""Where boxes will be."""

from typing import Any

import numpy as np
import pytest

from service.video.motion import (
    COVARIANCE,
    MEAN,
    MEAN_VARIANCE,
    SPEED,
    SPEED_VARIANCE,
    corners_of,
    correct,
    predict,
    started,
)

BOX = np.array([[100.0, 50.0, 140.0, 150.0]])


def moved(right: float) -> Any:
    """The box so many pixels farther right."""
    return BOX + np.array([right, 0, right, 0])


def seen(step_s: float, count: int, speed: float = 120.0) -> Any:
    """The state of a box that was seen so many times, each time ``step_s`` later, and moves to the right."""
    states = started(BOX)
    for number in range(1, count):
        predict(states, np.array([step_s]))
        states = correct(states, moved(speed * step_s * number))
    return states


@pytest.mark.parametrize("step_s", [1 / 60, 1 / 30, 1 / 5])
def test_the_speed_is_found(step_s: float) -> None:
    """After two seconds the speed of a box is known to within two hundredths, in pixels a second at any frame rate."""
    states = seen(step_s, round(2 / step_s))
    assert states[0, SPEED].tolist() == pytest.approx([120, 0, 0, 0], abs=2.4)


def test_it_stays_on_its_way() -> None:
    """Unseen for half a second, in one step or in many, it is expected where it is, to within three pixels."""
    one, many = seen(1 / 30, 60), seen(1 / 30, 60)
    predict(one, np.array([0.5]))
    for _ in range(50):
        predict(many, np.array([0.01]))
    expected = moved(120 * (59 / 30 + 0.5))
    assert corners_of(one) == pytest.approx(expected, abs=3)
    assert corners_of(many) == pytest.approx(expected, abs=3)


def test_no_time_no_motion() -> None:
    """A step of no time changes nothing."""
    states = seen(1 / 30, 5)
    before = states.copy()
    predict(states, np.zeros(1))
    assert (states == before).all()


def test_a_box_never_vanishes() -> None:
    """A box that shrinks fast is never expected to be smaller than a pixel."""
    states = started(BOX)
    states[0, SPEED, 2:] = -1e4
    predict(states, np.array([1.0]))
    assert (states[0, MEAN, 2:] == 1).all()


def test_as_the_textbook_has_it() -> None:
    """Prediction and correction equal those of the Kalman filter with matrices, for each coordinate."""
    states = seen(1 / 30, 4)
    before = states[0, :, 0].copy()
    predict(states, np.array([0.1]))
    state, spread, noise = _textbook_predict(before, 0.1, size=70.0)
    assert states[0, [MEAN, SPEED], 0] == pytest.approx(state)
    assert states[0, [MEAN_VARIANCE, COVARIANCE, SPEED_VARIANCE], 0] == pytest.approx(spread[[0, 0, 1], [0, 1, 1]])
    found = correct(states, BOX + 30)[0, :, 0]
    gain = spread[:, 0] / (spread[0, 0] + noise)
    assert found[[MEAN, SPEED]] == pytest.approx(state + gain * (150 - state[0]))
    left = spread - np.outer(gain, spread[0])
    assert found[[MEAN_VARIANCE, COVARIANCE, SPEED_VARIANCE]] == pytest.approx(left[[0, 0, 1], [0, 1, 1]])


def _textbook_predict(before: Any, step: float, size: float) -> Any:
    """State [2], its covariance [2, 2] and the measurement's variance, for white noise of acceleration and place."""
    motion = np.array([[1, step], [0, 1]])
    spread = np.array([[before[MEAN_VARIANCE], before[COVARIANCE]], [before[COVARIANCE], before[SPEED_VARIANCE]]])
    shake = (30 / 160 * size) ** 2 * 30 * np.array([[step**3 / 3, step**2 / 2], [step**2 / 2, step]])
    shake[0, 0] += (size / 20) ** 2 * 30 * step
    return motion @ before[[MEAN, SPEED]], motion @ spread @ motion.T + shake, (size / 20) ** 2
