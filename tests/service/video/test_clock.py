"""Timestamps as files have them, and the times that are made of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.clock import PresentationClock, StampGuess

STEP_S = 0.04
stamps = st.lists(st.none() | st.floats(-1e6, 1e9), min_size=1, max_size=60)


def times(stamps_s: list[float | None]) -> list[float]:
    """The times that a clock makes of stamps."""
    clock = PresentationClock()
    return [clock.next(stamp, STEP_S) for stamp in stamps_s]


@given(stamps)
def test_times_go_forward(stamps_s: list[float | None]) -> None:
    """Whatever the stamps, times begin at 0 or later and each is after the one before."""
    found = times(stamps_s)
    assert found[0] >= 0
    assert found == sorted(set(found))


@given(st.lists(st.floats(0.002, 3000), max_size=60))
def test_good_stamps_stay(gaps: list[float]) -> None:
    """Stamps that go forward are the times, however uneven."""
    good = [sum(gaps[:count]) for count in range(len(gaps) + 1)]
    clock = PresentationClock()
    assert [clock.next(stamp, STEP_S) for stamp in good] == good
    assert (clock.missing, clock.disordered) == (0, 0)


@pytest.mark.parametrize(
    ("given_s", "expected_s"),
    [
        ([0, 0.04, None, 0.12], [0, 0.04, 0.08, 0.12]),
        ([None, None, 0.08], [0, 0.04, 0.08]),
        ([0, 1, 0.5, 2, 3], [0, 1, 1.001, 2, 3]),
        ([10, 10.04, 0, 0.04], [10, 10.04, 10.08, 10.12]),
        ([0, 1, 99_999, 2, 3], [0, 1, 1.04, 1.08, 2.08]),
        ([0, 0.5, 0, 0.04, 0.08], [0, 0.5, 0.501, 0.541, 0.581]),
        ([0, 600], [0, 600]),
        ([0.04, 0.04], [0.04, 0.041]),
        ([-0.5, 0.1], [0, 0.1]),
    ],
)
def test_mended(given_s: list[float | None], expected_s: list[float]) -> None:
    """Missing stamps are reckoned, single steps back are put right, and a clock that is set anew is followed."""
    assert times(given_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(0, -2), (1, -1), (2, 0)], [0, 1, 2]),
        ([(None, 0), (None, 1), (5, 2), (None, 3)], [0, 1, 5, 3]),
        ([(3, 0), (3, 1), (3, 2), (3, 3)], [3, 1, 2, 3]),
        ([(None, None)], [None]),
    ],
)
def test_the_better_stamp(pairs: list[tuple[int | None, int | None]], expected: list[int | None]) -> None:
    """The presentation stamp counts, until it proves worse than the decoding stamp; either may be missing."""
    guess = StampGuess()
    assert [guess.of(pts, dts) for pts, dts in pairs] == expected
