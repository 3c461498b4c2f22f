from dataclasses import replace

import numpy as np
import pytest

from benchmarks.scaling.autoscaler import Policy, Rules
from benchmarks.scaling.fleet import Fleet, PodModel, Scaling, Scenario, StartTimes, ZoneFailure
from benchmarks.scaling.histogram import counted, percentile_ms
from benchmarks.scaling.service_times import ServiceLaw

_POD = PodModel(ServiceLaw(0.0, 0.02), places=2, most=4, bound=32)
_START = StartTimes(pending_s=5, starting_s=5, node_s=60, nodes_at_once=8, spare=1.0)
_STEADY = Scenario(pod=_POD, pods=6, rate=lambda _: 300.0, seconds=60, start=_START)
_RULES = Rules(up=[Policy(100, None, 15)], down=[Policy(100, None, 15)], least=2)


def test_steady_fleet() -> None:
    """A fleet with room answers all that comes."""
    history = Fleet(_STEADY).run()

    assert history.failed_share() == 0
    assert sum(history.answered) == pytest.approx(300 * 60, rel=0.03)


def test_a_few_pods_stand_for_many() -> None:
    """Six hundred pods, of which two are simulated, have the percentiles of six."""
    few = Fleet(replace(_STEADY, rate=lambda _: 480.0, seconds=300)).run()
    many = Fleet(replace(_STEADY, pods=600, rate=lambda _: 48_000.0, seconds=300, seed=1)).run()

    assert many.percentile_ms(99) == pytest.approx(few.percentile_ms(99), rel=0.1)
    assert sum(many.answered) == pytest.approx(100 * sum(few.answered), rel=0.03)


def test_same_seed_same_history() -> None:
    """A document can be made again, to the digit."""
    assert Fleet(_STEADY).run().answered == Fleet(_STEADY).run().answered


def test_it_grows() -> None:
    """With twice the traffic the autoscaler brings pods, and then nobody is refused."""
    scaling = Scaling(_RULES, queue_wait_s=None, in_flight=4.0)
    scenario = replace(_STEADY, rate=lambda now: 300.0 if now < 30 else 900.0, seconds=300, scaling=scaling)

    history = Fleet(scenario).run()

    assert history.ready[0] == 6
    assert history.ready[-1] >= 9
    assert history.failed_share(30, 90) > history.failed_share(200) == 0


def test_new_nodes_take_their_time() -> None:
    """Without nodes that stand ready no pod helps before one is made."""
    scaling = Scaling(_RULES, queue_wait_s=None, in_flight=4.0)
    scenario = replace(_STEADY, rate=lambda _: 900.0, seconds=120, scaling=scaling, start=replace(_START, spare=0.0))

    history = Fleet(scenario).run()

    assert max(history.ready[:58]) == 6
    assert history.ready[-1] > 6


def test_lost_zone() -> None:
    """Until it is noticed a zone's share of the requests is lost; its pods come back elsewhere."""
    failure = ZoneFailure(at_s=20, noticed_s=10, replaced_s=40)
    history = Fleet(replace(_STEADY, zones=3, failure=failure, seconds=100)).run()

    assert history.failed_share(20, 30) == pytest.approx(1 / 3, rel=0.05)
    assert history.failed_share(40) == 0
    assert (history.ready[19], history.ready[25], history.ready[-1]) == (6, 4, 6)


def test_percentiles_of_counts() -> None:
    """Percentiles of counts are those of the values, to 1.5 %."""
    values = np.random.default_rng(0).lognormal(-4, 1, 20_000)

    for share in (50, 95, 99):
        assert percentile_ms(counted(values), share) == pytest.approx(np.percentile(values, share) * 1e3, rel=0.016)
