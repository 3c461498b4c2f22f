"""Every combination of switches renders objects that Kubernetes takes and that fit together."""

import pytest
from helm_python.errors import HelmError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helm.chart import render
from tests.helm.invariants import broken
from tests.helm.switches import SWITCHES, Choice, feasible, pairwise, single, values

SINGLE = list(single())
PAIRS = pairwise()


def _changed(choice: Choice) -> str:
    """The switches that are not as by default, as a test's name."""
    return ", ".join(f"{name} {chosen}" for name, chosen in choice.items() if chosen != next(iter(SWITCHES[name])))


@pytest.mark.parametrize("choice", SINGLE, ids=_changed)
def test_each_switch_alone(choice: Choice) -> None:
    """The defaults, and each switch set otherwise, render what is valid and whole."""
    assert broken(render(values(choice))) == []


@pytest.mark.parametrize("choice", PAIRS, ids=range(len(PAIRS)))
def test_each_pair_of_switches(choice: Choice) -> None:
    """Any two settings of any two switches go together."""
    assert broken(render(values(choice))) == []


@given(st.fixed_dictionaries({name: st.sampled_from(list(choices)) for name, choices in SWITCHES.items()}))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_any_combination(choice: Choice) -> None:
    """Any other combination renders what is valid and whole, or is refused in words."""
    if feasible(choice):
        assert broken(render(values(choice))) == []
    else:
        with pytest.raises(HelmError, match=r"repository\.writable|build\.enabled|service\.enabled"):
            render(values(choice))
