"""Permits: never more than the limit, each given back once, and the last ones kept for whom they are meant."""

from collections.abc import Callable
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.admission import Admission
from service.admission_limit import AdaptiveLimit
from service.errors import ErrorKind, ServiceError
from service.security.caller import Priority
from service.telemetry import Telemetry

TELEMETRY = Telemetry()
Steps = st.lists(
    st.tuples(st.booleans(), st.integers(1, 12), st.sampled_from(list(Priority)), st.booleans()), max_size=120
)


class Broken(Exception):
    """What goes wrong within a permit."""


def admission(ceiling: int = 10, limit: AdaptiveLimit | None = None, *, ranked: bool = True) -> Admission:
    """Of a service of its own."""
    return Admission(TELEMETRY, ceiling, 64, limit, ranked=ranked)


def taken(permits: Admission, priority: Priority) -> int:
    """So many single images of a priority get in."""
    with ExitStack() as held:
        for count in range(1000):
            try:
                held.enter_context(permits.permit(1, priority))
            except ServiceError:
                return count
    raise AssertionError("there is no limit")


@given(Steps, st.integers(1, 20), st.integers(1, 20))
def test_permits_are_bounded_and_never_leak(
    steps: list[tuple[bool, int, Priority, bool]], ceiling: int, floor: int
) -> None:
    """Whoever enters, leaves or fails in whatever order: no more than the ceiling is in flight, and at last nothing."""
    permits = admission(ceiling, AdaptiveLimit(ceiling, lambda: floor, 0.25))
    held: list[tuple[ExitStack, int]] = []
    for enters, images, priority, fails in steps:
        if enters:
            stack = ExitStack()
            with suppress(ServiceError):
                stack.enter_context(permits.permit(images, priority))
                held.append((stack, images))
        elif held:
            _leave(held.pop(0)[0], fails=fails)
        assert permits.in_flight == sum(images for _, images in held) <= ceiling
        assert 1 <= permits.limit <= ceiling
    for stack, _ in held:
        _leave(stack, fails=False)
    assert permits.in_flight == 0


def _leave(stack: ExitStack, *, fails: bool) -> None:
    with suppress(Broken), stack:
        if fails:
            raise Broken


@pytest.mark.parametrize(
    ("priority", "ranked", "share"),
    [
        (Priority.LOW, True, 5),
        (Priority.NORMAL, True, 9),
        (Priority.HIGH, True, 10),
        (Priority.LOW, False, 5),
        (Priority.NORMAL, False, 10),
    ],
)
def test_the_last_permits_are_kept_for_the_highest(priority: Priority, ranked: bool, share: int) -> None:
    """Low gets half of the permits; normal gets nine of ten where somebody may be high, and else all."""
    assert taken(admission(ranked=ranked), priority) == share


def test_the_high_get_in_where_others_are_refused() -> None:
    """While normal callers have all they may take, a high one is still admitted, and a low one is not."""
    permits = admission()
    with permits.permit(9):
        for priority in (Priority.LOW, Priority.NORMAL):
            with pytest.raises(ServiceError):
                permits.require_room(priority)
        permits.require_room(Priority.HIGH)
        with permits.permit(1, Priority.HIGH):
            assert permits.in_flight == 10


@pytest.mark.parametrize("limit", [1, 3])
def test_a_small_limit_leaves_everybody_something(limit: int) -> None:
    """Shares are rounded up: with a single permit, even the lowest may take it."""
    permits = admission(limit)
    assert [taken(permits, priority) for priority in Priority] == [(limit + 1) // 2, limit, limit]


def test_a_request_of_many_images_enters_an_idle_service() -> None:
    """However low the limit has fallen, a request that fits under the ceiling is taken when there is room."""
    permits = admission(64, _fallen(64, 8))
    with permits.permit(64):
        assert (permits.in_flight, permits.limit) == (64, 8)
        with pytest.raises(ServiceError):
            permits.require_room(Priority.HIGH)
    with permits.permit(4), permits.permit(32):
        assert permits.in_flight == 36


def test_a_permit_is_given_back_once() -> None:
    """A permit can be used again after it was given back, and each use counts once."""
    permits = admission()
    permit = permits.permit(3)
    for _ in range(2):
        with permit:
            assert permits.in_flight == 3
        assert permits.in_flight == 0


@pytest.mark.parametrize(
    ("images", "kind"), [(0, ErrorKind.INVALID_PARAMETERS), (65, ErrorKind.TOO_LARGE), (11, ErrorKind.OVERLOADED)]
)
def test_what_can_never_be_admitted(images: int, kind: ErrorKind) -> None:
    """No image makes no sense, more than a request may hold is too large, and more than the ceiling never fits."""
    with pytest.raises(ServiceError) as error:
        admission().permit(images).__enter__()
    assert error.value.kind is kind


def test_the_gauge_shows_the_limit_that_holds() -> None:
    """The metric of the limit follows it, and not the setting."""
    gauge: Callable[[], float | None] = lambda: TELEMETRY.registry.get_sample_value("vitrail_images_in_flight_limit")  # noqa: E731
    admission(64)
    assert gauge() == 64
    admission(64, _fallen(64, 8))
    assert gauge() == 8


def _fallen(ceiling: int, floor: int) -> AdaptiveLimit:
    """A limit that has just fallen to its floor."""
    limit, far_ahead = AdaptiveLimit(ceiling, lambda: floor, 0.25), 1e12
    limit.idle_until(far_ahead)
    for second in range(100):
        limit.ended(1, ceiling, far_ahead + second)
    return limit
