from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.live_clock import Backlog, Pace, StreamClock

STEPS = st.lists(st.floats(1e-3, 10), min_size=1, max_size=8)
CONNECTIONS = st.lists(st.tuples(st.floats(0, 100), st.floats(-50, 50), STEPS), min_size=1, max_size=6)


def test_time_begins_with_the_first_frame() -> None:
    """The first frame of the first connection is at 0, whatever its connection says."""
    clock = StreamClock()
    clock.connected()
    assert [clock.at(12.5, 1000.0), clock.at(12.75, 1000.3)] == [0.0, 0.25]


def test_time_goes_on_over_a_gap() -> None:
    """After a reconnection time has gone on as on the wall, and the frames' own times count from there."""
    clock = StreamClock()
    clock.connected()
    clock.at(0.0, 100.0)
    clock.at(1.0, 101.0)
    clock.connected()
    assert [clock.at(7.0, 104.0), clock.at(7.5, 104.5)] == pytest.approx([4.0, 4.5])


@given(CONNECTIONS)
def test_times_never_step_back(connections: list[tuple[float, float, list[float]]]) -> None:
    """However connections follow each other and wherever their clocks begin, times rise."""
    clock, arrived_s, times = StreamClock(), 0.0, []
    for gap_s, begin_s, steps in connections:
        clock.connected()
        arrived_s += gap_s
        time_s = begin_s
        for step_s in steps:
            time_s += step_s
            times.append(clock.at(time_s, arrived_s))
            arrived_s += step_s / 2
    assert all(later > earlier for earlier, later in pairwise(times))


def test_a_prompt_source_has_no_backlog() -> None:
    """Frames that arrive when their time says so are not late; one that is held up is."""
    backlog = Backlog()
    late = [backlog.late_s(time_s, 50 + time_s + held_s) for time_s, held_s in [(0, 0), (1, 0), (2, 0.5), (3, 0)]]
    assert late == pytest.approx([0, 0, 0.5, 0], abs=2e-3)


def test_a_source_that_falls_behind() -> None:
    """Where frames arrive ever later than their times, the backlog grows by what they lose."""
    backlog = Backlog()
    late = [backlog.late_s(second, 1.1 * second) for second in range(100)]
    assert late[-1] == pytest.approx(9.9, rel=0.05)


def test_clocks_that_drift_are_no_backlog() -> None:
    """A camera whose clock runs slow by a ten-thousandth never seems late, however long it is watched."""
    backlog = Backlog()
    late = [backlog.late_s(second * (1 - 1e-4), float(second)) for second in range(0, 200_000, 10)]
    assert max(late) < 1e-6


def played(pace: Pace, steps: list[tuple[float, float]]) -> float:
    """The seconds that it takes until frames so far apart, so long after one another, have been let pass."""
    time_s = now_s = 0.0
    for step_s, passed_s in steps:
        time_s += step_s
        now_s += passed_s
        now_s += pace.wait_s(time_s, now_s)
    return now_s


def test_a_file_is_played_at_its_own_pace() -> None:
    """What comes as fast as it can is held up until it is no more than five seconds early."""
    assert played(Pace(), [(0.04, 0.001)] * 2500) == pytest.approx(95, abs=0.5)


@pytest.mark.parametrize("rate", [0.5, 1.0, 1.0001])
def test_a_camera_is_never_held_up(rate: float) -> None:
    """Frames that come as their times say, or later, or a little fast because clocks differ, are let pass."""
    assert played(Pace(), [(0.04, 0.04 / rate)] * 500_000) == pytest.approx(20_000 / rate)


def test_a_leap_of_the_clock_is_no_haste() -> None:
    """Times that leap ahead by an hour hold nobody up."""
    assert played(Pace(), [(0.04, 0.04)] * 50 + [(3600, 0.04)] + [(0.04, 0.04)] * 50) == pytest.approx(101 * 0.04)
