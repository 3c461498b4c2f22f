"""What a window counts, and what it forgets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.rollout.window import Counts, Window


class Clock:
    """A clock that goes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_empty_window_says_nothing() -> None:
    """Without requests there is no percentile, no disagreement, and no fault."""
    assert Window(10).counts() == Counts()
    assert Counts().error_rate == 0


def test_old_seconds_are_forgotten() -> None:
    """What is older than the window's length counts no more."""
    clock = Clock()
    window = Window(10, clock)
    window.answered(0.1)
    window.failed()
    window.compared(0.5)
    clock.now += 9
    window.compared(0.1)
    found = window.counts()
    assert (found.requests, found.faults, found.compared, found.disagreement) == (2, 1, 2, 0.3)
    clock.now += 1
    found = window.counts()
    assert (found.requests, found.compared, found.disagreement) == (0, 1, 0.1)


@given(st.lists(st.floats(2e-4, 100), min_size=1, max_size=300))
def test_percentiles_are_right_to_a_few_percent(seconds: list[float]) -> None:
    """p50 and p99 are those of the times themselves, by nearest rank, within 6 %."""
    window = Window(60, Clock())
    for value in seconds:
        window.answered(value)
    found = window.counts()
    for share, value in [(50, found.p50_s), (99, found.p99_s)]:
        assert value == pytest.approx(np.percentile(seconds, share, method="inverted_cdf"), rel=0.06)
