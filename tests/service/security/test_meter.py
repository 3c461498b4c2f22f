"""Rates and concurrency: what is let through, what is not, and that counting takes bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorKind, ServiceError
from service.security.caller import Allowance
from service.security.meter import Meter, TooMany
from service.security.rate import Rate


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def tries(meter: Meter, count: int, allowance: Allowance, key: str = "alice") -> int:
    """So many of so many requests that begin, each over at once, are let through."""
    passed = 0
    for _ in range(count):
        try:
            meter.begin(key, allowance)
        except ServiceError:
            continue
        meter.end(key, allowance)
        passed += 1
    return passed


def test_a_rate_lets_through_its_count_at_once_and_then_what_time_brings() -> None:
    """Of ten at once five pass; a fifth of a second later one does; after a whole second, five again."""
    clock = Clock()
    meter, five = Meter(clock=clock), Allowance(Rate(5, 1))
    assert tries(meter, 10, five) == 5
    clock.now += 0.2
    assert tries(meter, 10, five) == 1
    clock.now += 1.0
    assert tries(meter, 10, five) == 5


def test_what_is_left_and_when_there_is_more_is_told() -> None:
    """Each request learns how many may follow; who comes too early learns when not to."""
    clock = Clock()
    meter, two = Meter(clock=clock), Allowance(Rate(2, 10))
    quotas = [meter.begin("alice", two) for _ in range(2)]
    assert [quota.remaining for quota in quotas if quota] == [1, 0]
    with pytest.raises(TooMany) as caught:
        meter.begin("alice", two)
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert (caught.value.retry_after_s, caught.value.quota.remaining) == (5, 0)
    clock.now += 5.0
    assert tries(meter, 2, two) == 1


def test_a_new_rate_holds_at_once() -> None:
    """Who has used up a day's rate and is given one by the second asks by the second, not from tomorrow on."""
    meter = Meter(clock=Clock())
    assert tries(meter, 10, Allowance(Rate(5, 86_400))) == 5
    assert tries(meter, 10, Allowance(Rate(5, 1))) == 5
    assert tries(meter, 10, Allowance(Rate(5, 86_400))) == 0


def test_callers_do_not_use_up_each_others_rate() -> None:
    """One that asks too much leaves the others as they were."""
    meter, three = Meter(clock=Clock()), Allowance(Rate(3, 60))
    assert tries(meter, 10, three) == 3
    assert tries(meter, 10, three, "bob") == 3


def test_only_so_many_are_under_way_at_a_time() -> None:
    """Of three that want to begin two may; once one is over, another may; a refusal takes no place and no rate."""
    meter, two = Meter(clock=Clock()), Allowance(Rate(4, 60), concurrency=2)
    for _ in range(2):
        meter.begin("alice", two)
    assert tries(meter, 5, two) == 0
    meter.end("alice", two)
    assert tries(meter, 5, two) == 2


def test_so_many_callers_are_remembered_and_no_more() -> None:
    """Whoever has a new address for each request fills no memory, and the caller of just now is still known."""
    meter, one = Meter(most_callers=100, clock=Clock()), Allowance(Rate(1, 3600))
    for number in range(1000):
        assert tries(meter, 1, one, f"192.0.2.{number}") == 1
    assert meter.remembered == 100
    assert tries(meter, 1, one, "192.0.2.999") == 0


@given(
    st.integers(1, 50),
    st.sampled_from([1, 60, 3600]),
    st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=200),
)
def test_no_time_sees_more_than_two_buckets(count: int, seconds: int, pauses: list[float]) -> None:
    """However requests are spread, in all of a time there pass no more than one full bucket and what flows in."""
    clock = Clock()
    meter, allowance = Meter(clock=clock), Allowance(Rate(count, seconds))
    begun, passed = clock.now, 0
    for pause in pauses:
        clock.now += pause
        passed += tries(meter, 1, allowance)
    assert passed <= count + (clock.now - begun) * count / seconds + 1e-6


@pytest.mark.parametrize("text", ["5", "5/s", "0/second", "-1/second", "5/second/second", "5 / second", ""])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    """What cannot be read is an error that says how it is written."""
    with pytest.raises(ValueError, match="50/second"):
        Rate.of(text)
