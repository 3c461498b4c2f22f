from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.video.live_back_off import BackOff


def test_pauses_double_up_to_the_longest() -> None:
    """Without luck pauses are the first one, twice, four times as long, and at most the longest."""
    back_off = BackOff(0.5, 30.0, chance=lambda: 1.0)
    assert [back_off.pause_s() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_after_success_it_begins_anew() -> None:
    """After a good connection the next pause is the first one."""
    back_off = BackOff(0.5, 30.0, chance=lambda: 1.0)
    for _ in range(5):
        back_off.pause_s()
    back_off.reset()
    assert back_off.pause_s() == 0.5


@given(st.floats(0, 1), st.floats(0.01, 5), st.floats(5, 60))
def test_chance_takes_a_half_at_most(chance: float, first_s: float, longest_s: float) -> None:
    """Whatever chance says, a pause is between a half and the whole of what is due, and they do not fall."""
    back_off = BackOff(first_s, longest_s, chance=lambda: chance)
    pauses = [back_off.pause_s() for _ in range(20)]
    assert first_s / 2 <= pauses[0] <= first_s
    assert all(earlier <= later for earlier, later in pairwise(pauses))
    assert pauses[-1] == pytest.approx(longest_s * (1 + chance) / 2)
