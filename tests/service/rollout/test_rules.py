"""When an alias is sent back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.registry.traffic import RollbackRules
from service.rollout.rules import breach
from service.rollout.window import Counts

RULES = RollbackRules(min_requests=20, max_error_rate=0.05, max_p99_ratio=2, max_disagreement=0.2)
FINE = Counts(requests=100, faults=0, p50_s=0.01, p99_s=0.02, compared=50, disagreement=0.01)

BREACHES = {
    "max_error_rate": Counts(requests=100, faults=6, p50_s=0.01, p99_s=0.02),
    "max_p99_ratio": Counts(requests=100, p50_s=0.01, p99_s=0.041),
    "max_disagreement": Counts(requests=100, p50_s=0.01, p99_s=0.02, compared=20, disagreement=0.21),
}


@pytest.mark.parametrize("rule", BREACHES)
def test_each_rule_can_be_broken(rule: str) -> None:
    """A version that is worse than a rule allows breaks it, and says by how much; a rule that is off is not broken."""
    found = breach(RULES, BREACHES[rule], FINE)
    assert found is not None
    assert found.rule == rule
    assert any(character.isdigit() for character in found.reason)
    assert breach(RULES.model_copy(update={rule: None}), BREACHES[rule], FINE) is None


def test_what_both_suffer_is_no_breach() -> None:
    """Where stable fails and slows down as much, the version on trial is not to blame."""
    bad = Counts(requests=100, faults=50, p50_s=1, p99_s=9)
    assert breach(RULES, bad, bad) is None


def test_too_few_requests_prove_nothing() -> None:
    """Below the number of requests that a rule asks for, nothing is broken, however bad it looks."""
    bad = Counts(requests=19, faults=10, p50_s=1, p99_s=9, compared=19, disagreement=1)
    assert breach(RULES, bad, FINE) is None


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 1), st.floats(0, 10))
def test_a_version_that_is_stables_equal_breaks_nothing(requests: int, faults: int, share: float, p99: float) -> None:
    """Counts equal to stable's break no rule but that of disagreement."""
    counts = Counts(
        requests=requests + faults, faults=faults, p50_s=p99, p99_s=p99 or None, compared=5, disagreement=share
    )
    assert breach(RULES, counts, counts) is None
