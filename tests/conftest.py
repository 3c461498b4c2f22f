"""What holds for every test: nothing of the machine's own caches is seen, nothing is left in them, nobody is told."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Before any import of ONNX Runtime, which would report its use to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# How long an example takes is a matter of what else the machine does.
settings.register_profile(
    "no clock", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no clock")


@pytest.fixture(autouse=True)
def cache_of_certified_models(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty one: what another test or a person built before is built anew."""
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path_factory.mktemp("cache")))
