"""How traffic is divided among aliases."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.registry.traffic import ModelTraffic, choose, point_of, sticky_key

POINTS = st.floats(0, 1)
SHARES = st.dictionaries(st.sampled_from(["stable", "canary", "dark", "b"]), st.integers(0, 100), min_size=1)


def dividing(weights: dict[str, float], sticky: str | None = None) -> ModelTraffic:
    """Traffic with these weights; every alias is some version."""
    return ModelTraffic(aliases=dict.fromkeys(weights, 1), weights=weights, sticky=sticky)


@given(SHARES, POINTS)
def test_only_aliases_with_a_share_are_chosen(weights: dict[str, float], point: float) -> None:
    """Whatever the point, the alias there has a weight above 0."""
    assume(sum(weights.values()) > 0)
    assert weights[choose(dividing(weights), point)] > 0


@given(SHARES)
def test_each_alias_has_its_share_of_the_line(weights: dict[str, float]) -> None:
    """Over points evenly spread, each alias is chosen as often as its weight says, to one point either way."""
    total = sum(weights.values())
    assume(total > 0)
    found = [choose(dividing(weights), (index + 0.5) / 1000) for index in range(1000)]
    for alias, weight in weights.items():
        assert abs(found.count(alias) - 1000 * weight / total) <= 1.001


@given(POINTS, st.integers(0, 100), st.integers(0, 100))
def test_a_growing_canary_keeps_its_callers(point: float, before: int, more: int) -> None:
    """Who is on the canary stays on it when it takes more of stable's share."""
    after = min(100, before + more)
    if choose(dividing({"stable": 100 - before, "canary": before}), point) == "canary":
        assert choose(dividing({"stable": 100 - after, "canary": after}), point) == "canary"


@given(POINTS)
def test_without_weights_stable_answers(point: float) -> None:
    """A model that nobody routed sends everything to stable."""
    assert choose(ModelTraffic(), point) == "stable"


def test_many_keys_split_within_statistics() -> None:
    """Of 10,000 users a canary of 10 % gets 1,000, to four standard deviations; no two models take the same ones."""
    traffic = dividing({"stable": 90, "canary": 10})
    users = {
        model: {n for n in range(10_000) if choose(traffic, point_of(model, f"user {n}")) == "canary"} for model in "ab"
    }
    for chosen in users.values():
        assert abs(len(chosen) - 1000) <= 4 * math.sqrt(10_000 * 0.1 * 0.9)
    assert len(users["a"] & users["b"]) < 200


@given(st.text(), st.text())
def test_a_caller_has_one_place(model: str, key: str) -> None:
    """Equal keys have equal places, within the line."""
    assert 0 <= point_of(model, key) <= 1
    assert point_of(model, key) == point_of(model, key)


def test_callers_stick_by_the_header_named() -> None:
    """The key is that header's value; a caller without it has none, nor has any where nothing is named."""
    traffic = dividing({"stable": 1}, "header:X-User")
    assert sticky_key(traffic, {"x-user": "ada"}) == "ada"
    assert sticky_key(traffic, {"x-other": "ada"}) is None
    assert sticky_key(ModelTraffic(), {"x-user": "ada"}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": {"canary": 1}},
        {"aliases": {"canary": 2}, "weights": {"canary": 0}},
        {"weights": {"stable": -1}},
        {"weights": {"stable": float("nan")}},
        {"aliases": {"Canary": 2}},
        {"aliases": {"canary": 0}},
        {"sticky": "cookie:user"},
        {"shadows": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    """Weights without an alias, negative or all zero, odd names and unknown fields are not followed."""
    with pytest.raises(ValidationError):
        ModelTraffic.model_validate(wrong)
