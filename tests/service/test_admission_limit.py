"""The limit of images in flight, learnt from what was answered lately, against a small simulated service."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.admission_limit import AdaptiveLimit

CEILING, FIRST, FLOOR, WAIT_S = 256, 64, 16, 0.25
Ends = st.lists(st.tuples(st.integers(0, 64), st.integers(0, 256), st.floats(0, 5)), max_size=200)


@dataclass
class Simulated:
    """A service of two places that each answer an image in ``work_s``; who finds the limit reached is refused."""

    limit: AdaptiveLimit
    work_s: float
    free: list[float] = field(default_factory=lambda: [0.0, 0.0])
    """When each place is free."""
    ends: list[tuple[float, float]] = field(default_factory=list)
    """Of the images in flight, their ends and their arrivals."""
    waits_s: list[float] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    refused: int = 0
    in_flight: int = 0

    def run(self, arrivals: Iterator[float]) -> None:
        """Serve arrivals, in order of time, first come first served."""
        for now in arrivals:
            self._end(now)
            if self.in_flight >= self.limit.value:
                self.refused += 1
                continue
            if not self.in_flight:
                self.limit.idle_until(now)
            self.in_flight += 1
            end = max(now, heappop(self.free)) + self.work_s
            heappush(self.free, end)
            heappush(self.ends, (end, now))

    def _end(self, now: float) -> None:
        while self.ends and self.ends[0][0] <= now:
            end, arrived = heappop(self.ends)
            self.limit.ended(1, self.in_flight, end)
            self.in_flight -= 1
            self.waits_s.append(end - arrived)
            self.limits.append(self.limit.value)


def steadily(rate: float, begin: float, end: float) -> Iterator[float]:
    """Moments of arrivals, so many a second."""
    return (begin + number / rate for number in range(int((end - begin) * rate)))


def a_service(work_s: float = 0.0125) -> Simulated:
    """It answers 160 images a second unless told otherwise."""
    return Simulated(AdaptiveLimit(CEILING, lambda: FLOOR, WAIT_S), work_s)


@given(Ends, st.integers(1, 512), st.integers(-1, FIRST))
def test_it_stays_within_its_bounds(ends: list[tuple[int, int, float]], ceiling: int, floor: int) -> None:
    """Whatever ends when, the limit is never above the ceiling, nor below the floor, nor below one."""
    limit, now = AdaptiveLimit(ceiling, lambda: floor, WAIT_S), 0.0
    for answered, in_flight, pause_s in ends:
        now += pause_s
        if not in_flight:
            limit.idle_until(now)
        limit.ended(answered, in_flight, now)
        assert min(ceiling, max(1, floor)) <= limit.value <= ceiling


def test_a_floor_above_the_first_limit_holds_from_the_first_window_on() -> None:
    """A service whose batches are large does not wait for a crowd to have them full."""
    limit = AdaptiveLimit(CEILING, lambda: 100, WAIT_S)
    assert limit.value == FIRST
    limit.ended(16, 16, 1.0)
    assert limit.value >= 100


@pytest.mark.parametrize("load", [0.1, 0.5, 0.8, 0.95])
def test_it_does_not_fall_at_a_load_that_can_be_borne(load: float) -> None:
    """Nobody is refused, and the limit stays where it begins, as long as the service keeps up."""
    service = a_service()
    service.run(steadily(160 * load, 0, 60))
    assert (service.refused, set(service.limits)) == (0, {FIRST})


@pytest.mark.parametrize("overload", [1.5, 3.0, 10.0])
def test_under_overload_waits_are_bounded_and_no_work_is_lost(overload: float) -> None:
    """At several times its capacity the service still answers all it can, each within the queue limit."""
    service = a_service()
    service.run(steadily(160 * overload, 0, 30))
    late = sorted(service.waits_s[len(service.waits_s) // 6 :])
    assert len(service.waits_s) >= 0.98 * 160 * 30 - 50
    assert late[int(0.99 * len(late))] < WAIT_S


@pytest.mark.parametrize("overload", [1.5, 3.0, 10.0])
def test_under_a_steady_overload_it_stands_still(overload: float) -> None:
    """Once it has found its place the limit moves by no more than a quarter, however long the overload lasts."""
    service = a_service()
    service.run(steadily(160 * overload, 0, 60))
    settled = service.limits[len(service.limits) // 4 :]
    assert max(settled) <= 1.25 * min(settled)
    assert 0.5 * 160 * WAIT_S <= min(settled) <= max(settled) <= 160 * WAIT_S


def test_the_first_crowd_is_met_at_once() -> None:
    """From the first moment of a service's first overload on nobody waits for much longer than the queue limit."""
    service = a_service()
    service.run(steadily(480, 0, 5))
    assert max(service.waits_s) < 2 * WAIT_S


def test_it_follows_a_service_that_becomes_slower_and_recovers() -> None:
    """With half the speed the limit halves; when nobody crowds any more it opens again, for bursts."""
    service = a_service()
    service.run(steadily(500, 0, 10))
    quick = service.limit.value
    service.work_s *= 2
    service.run(steadily(500, 10, 20))
    assert service.limit.value == pytest.approx(quick / 2, rel=0.3)
    service.work_s /= 2
    service.run(steadily(50, 30, 60))
    assert service.limit.value == pytest.approx(quick, rel=0.3)


def test_it_rises_from_the_floor_under_overload() -> None:
    """A service that was slow for a while, and is quick again, admits more at once, although the crowd never left."""
    service = a_service(work_s=0.1)
    service.run(steadily(500, 0, 20))
    assert service.limit.value == FLOOR
    service.work_s = 0.0125
    service.run(steadily(500, 20, 30))
    assert service.limit.value > 1.5 * FLOOR


def test_a_slow_model_has_its_batches_full() -> None:
    """Where an image takes longer than the queue limit, the floor holds: engines lack no images."""
    service = a_service(work_s=1.0)
    service.run(steadily(20, 0, 120))
    assert set(service.limits[len(service.limits) // 2 :]) == {FLOOR}


def test_callers_with_many_images_are_not_shut_out() -> None:
    """Where requests hold many images, a second one gets in behind the first, however slow they are."""
    limit = AdaptiveLimit(CEILING, lambda: FLOOR, WAIT_S)
    for number in range(50):
        limit.ended(64, 64 if number % 2 else 128, 1.0 * number)
    assert limit.value >= 2 * 64
