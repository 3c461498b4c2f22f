"""What is looked at once a second."""

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.registry.traffic import ModelTraffic
from service.watch import shares_of
from tests.doubles import until
from tests.service.running import Running, running
from tests.tiny_models import write_version

NAMES = st.sampled_from(["stable", "canary", "night"])


def share(service: Running, alias: str, version: str) -> float | None:
    """The gauge of one alias."""
    labels = {"model": "colours", "alias": alias, "version": version}
    return service.application.telemetry.registry.get_sample_value("vitrail_traffic_share", labels)


@given(st.dictionaries(NAMES, st.floats(0, 1e6)).filter(lambda weights: not weights or sum(weights.values()) > 0))
def test_shares_are_a_whole(weights: dict[str, float]) -> None:
    """Whatever unit the weights have, and where there are none, the shares are 1 together."""
    traffic = ModelTraffic(aliases=dict.fromkeys(weights, 1), weights=weights)
    assert sum(shares_of(traffic).values()) == pytest.approx(1)


async def test_shares_of_traffic_follow_the_routing(tmp_path: Path) -> None:
    """Each alias shows its share and its version; one that is gone shows none."""
    for version in (1, 2):
        write_version(tmp_path, "colours", version)
    async with running(tmp_path) as service:
        await until(lambda: share(service, "stable", "2") == 1)
        traffic = {"aliases": {"stable": 1, "canary": 2}, "weights": {"stable": 3, "canary": 1}}
        (tmp_path / "routing.yaml").write_text(f"models: {{colours: {traffic}}}")
        await until(lambda: share(service, "canary", "2") == 0.25)
        assert share(service, "stable", "1") == 0.75
        assert share(service, "stable", "2") is None


async def test_a_loop_that_was_held_up_is_told(tmp_path: Path) -> None:
    """Who holds the event loop for a third of a second shows in the gauge."""
    write_version(tmp_path, "colours")
    async with running(tmp_path) as service:
        lag = service.application.telemetry.loop_lag._value
        time.sleep(0.35)  # noqa: ASYNC251 - that is what is to be seen
        await until(lambda: lag.get() > 0.2)
