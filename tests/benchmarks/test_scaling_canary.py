import numpy as np
import pytest

from benchmarks.scaling.canary import alarms, decision, faulty, judged
from benchmarks.scaling.node import Log
from service.registry.traffic import RollbackRules
from service.rollout.rules import breach
from service.rollout.window import Counts

_RULES = RollbackRules()


def _log(canary_s: float) -> Log:
    """A hundred requests a second for half a minute, every tenth the canary's."""
    log = Log()
    for number in range(3000):
        log.versions.append(int(number % 10 == 0))
        log.engine_s.append(canary_s if number % 10 == 0 else 0.01)
        log.ended.append(number / 100)
    return log


def test_slow_canary_is_sent_back() -> None:
    """Once twenty of its answers were seen, a canary four times slower goes at the next look."""
    assert judged(_log(0.04), _RULES) == 2.0


def test_canary_as_quick_as_stable_stays() -> None:
    """Times within the rule send nobody back."""
    assert judged(_log(0.02), _RULES) is None


def test_rule_over_many_windows() -> None:
    """The rule of faults over arrays says what the service's own rule says of each."""
    drawn = np.random.default_rng(0).integers(0, 40, (2, 500))
    requests, stable_requests = drawn + 5
    faults, stable_faults = np.random.default_rng(1).binomial((requests, stable_requests), 0.05)

    found = faulty(_RULES, requests, faults, stable_requests, stable_faults)

    rows = zip(requests, faults, stable_requests, stable_faults, strict=True)
    known = [breach(_RULES, Counts(int(a), int(b)), Counts(int(c), int(d))) is not None for a, b, c, d in rows]
    assert found.tolist() == known
    assert 0 < sum(known) < 500


def test_too_few_requests_decide_nothing() -> None:
    """A tenth of a request a second never fills a window of a minute with twenty; ten a second do within seconds."""
    assert decision(1.0, 2, 0.2, _RULES, seed=0, trials=20).within_an_hour == 0

    quick = decision(100.0, 2, 0.2, _RULES, seed=0, trials=20)
    assert (quick.within_an_hour, quick.median_s) == (1.0, pytest.approx(2.0, abs=1.0))


def test_more_requests_tell_better() -> None:
    """To see more before judging spares good canaries, and the bad ones are caught all the same."""
    few, many = (alarms(need, 50.0, 0.1, (0.003, 0.05), 120.0, seed=0, trials=20) for need in (20, 200))

    assert few.wrongly > many.wrongly
    assert many.caught == 1.0
