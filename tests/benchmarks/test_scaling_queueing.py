import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.scaling import theory
from benchmarks.scaling.node import Gateway, closed_loop, open_loop
from benchmarks.scaling.service_times import CpuWork, ServiceLaw
from benchmarks.scaling.station import Station, poisson_arrivals
from benchmarks.scaling.validation import Exponential, mean_wait

_IMAGES = 100_000


def _one_place(bound: int, most: int = 4) -> Station:
    return Station(ServiceLaw(0.001, 0.002), 1, most, bound, np.random.default_rng(0))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_constant_times(load: float) -> None:
    """With one server and constant times the mean wait is that of M/D/1."""
    wait = mean_wait(ServiceLaw(0.0, 0.01), 1, load / 0.01, _IMAGES, seed=1)

    assert wait == pytest.approx(theory.mg1_wait(load / 0.01, 0.01, 0.0), rel=0.05)


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (2, 0.7), (8, 0.8)])
def test_exponential_times(servers: int, load: float) -> None:
    """With exponential times the mean wait is that of M/M/c."""
    rate = load * servers / 0.01

    wait = mean_wait(Exponential(0.0, 0.01), servers, rate, _IMAGES, seed=2)

    assert wait == pytest.approx(theory.mmc_wait(rate, 0.01, servers), rel=0.07)


def test_bound() -> None:
    """With room for ten, as many are refused as in M/M/2/10."""
    station = Station(Exponential(0.0, 0.01), 2, 1, 10, np.random.default_rng(3))
    arrivals = poisson_arrivals(np.random.default_rng(4), 240.0, 0.0, 400.0)

    served = station.serve(arrivals, 400.0)

    assert served.refused / served.arrived == pytest.approx(theory.mmck_refused(240.0, 0.01, 2, 10), rel=0.05)


def test_formulas_agree() -> None:
    """M/M/1 is M/M/c with one server, and Pollaczek and Khinchine's formula with a variation of one."""
    known = theory.mm1_wait(70.0, 0.01)

    assert known == pytest.approx(0.7 / (1 - 0.7) * 0.01)
    assert theory.mg1_wait(70.0, 0.01, 1.0) == pytest.approx(known)


def test_too_much_for_a_formula() -> None:
    """A load of one has no mean wait, and the formula says so."""
    with pytest.raises(ValueError, match="below 1"):
        theory.mm1_wait(100.0, 0.01)


def test_batches_grow_with_load() -> None:
    """A lone image starts at once; those that come while it runs go together, as many as may."""
    served = _one_place(100).serve([0.0, 0.0005, 0.001, 0.0015, 0.002, 0.0025, 0.0028], 1.0)

    assert served.batch_sizes.tolist() == [1, 4, 2]
    assert served.waits_s.tolist() == pytest.approx([0, 0.0025, 0.002, 0.0015, 0.001, 0.0095, 0.0092])


def test_no_image_is_lost() -> None:
    """Whatever comes is answered, refused, or waits still."""

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(0, 1), max_size=200), st.integers(4, 20), st.integers(0, 100))
    def holds(moments: list[float], bound: int, cut: int) -> None:
        station, arrivals = _one_place(bound), sorted(moments)
        at = cut / 100
        before = [moment for moment in arrivals if moment < at]
        first = station.serve(before, at)
        second = station.serve(arrivals[len(before) :], 1.001)
        done = len(first.waits_s) + len(second.waits_s)
        assert done + first.refused + second.refused + station.waiting == len(arrivals)
        assert station.in_flight(1.001) <= bound

    holds()


def test_in_pieces() -> None:
    """Time cut into pieces gives what the whole gives."""
    arrivals = poisson_arrivals(np.random.default_rng(5), 400.0, 0.0, 10.0)
    whole = _one_place(16).serve(arrivals, 10.0)
    station = _one_place(16)
    pieces = [station.serve([at for at in arrivals if second <= at < second + 1], second + 1.0) for second in range(10)]

    assert np.concatenate([piece.latencies_s for piece in pieces]) == pytest.approx(whole.latencies_s)
    assert sum(piece.refused for piece in pieces) == whole.refused


def test_batch_by_batch_is_request_by_request() -> None:
    """Where only the engine takes time, both simulations give each image the same time."""
    work = CpuWork(0.0, 0.0, 0.01, spread=0.0)
    arrivals = poisson_arrivals(np.random.default_rng(6), 150.0, 0.0, 20.0)

    log = open_loop(Gateway(work, cores=2, most=4, in_flight=1000), arrivals, seed=0)
    served = Station(work.folded(), 2, 4, 1000, np.random.default_rng(0)).serve(arrivals, 100.0)

    assert sorted(log.latencies_s) == pytest.approx(sorted(served.latencies_s))


def test_processors_are_the_bound() -> None:
    """Callers enough keep all processors busy, however the work is divided among threads."""
    work = CpuWork(0.001, 0.002, 0.007, spread=0.0)

    log = closed_loop(Gateway(work, cores=2, most=8, in_flight=256), callers=16, seconds=20.0, seed=0)

    assert len(log.ended) / 20 == pytest.approx(200, rel=0.02)


def test_one_caller_waits_for_nobody() -> None:
    """A caller alone has the sum of the parts."""
    work = CpuWork(0.001, 0.002, 0.007, spread=0.0)

    log = closed_loop(Gateway(work, cores=2, most=8, in_flight=256), callers=1, seconds=1.0, seed=0)

    assert log.percentile_ms(99) == pytest.approx(10.0)


def test_without_a_permit() -> None:
    """Beyond the images in flight a caller is refused at once."""
    work = CpuWork(0.0, 0.0, 1.0, spread=0.0)

    log = open_loop(Gateway(work, cores=1, most=1, in_flight=2), [0.0, 0.1, 0.2, 0.3], seed=0)

    assert (len(log.ended), log.refused) == (2, 2)
