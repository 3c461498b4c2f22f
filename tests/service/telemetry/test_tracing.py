"""The seam of tracing: without an endpoint nobody follows anything, and without the extra the start says so."""

import sys
from pathlib import Path

import pytest

from service.api.rest.problems import STATUS
from service.app import Application, MissingExtra
from service.errors import ErrorKind
from service.settings import Settings
from service.telemetry.tracing import CURRENT, NO_TRACING, OUR_FAULTS, BatchRun

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_without_an_endpoint_nothing_is_followed() -> None:
    """Not even a request whose caller wants its trace continued."""
    assert NO_TRACING.begin("POST /v1/detect", {"traceparent": TRACEPARENT}) is None
    NO_TRACING.batch(BatchRun("yolo", "1", size=1, begun=0.0, seconds=0.1, traces=()))
    await NO_TRACING.close()


def test_a_missing_extra_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where OpenTelemetry's SDK is absent, an endpoint is an error that names the command; else nothing is missed."""
    monkeypatch.delitem(sys.modules, "service.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    settings = Settings(repository=tmp_path, videos=tmp_path / "videos", threads=1)
    Application(settings).abandon()
    with pytest.raises(MissingExtra, match=r"pip install 'vitrail\[otel\]'"):
        Application(settings.model_copy(update={"otlp_endpoint": "http://127.0.0.1:9"}))


def test_our_faults_are_what_http_counts_from_500_up() -> None:
    """Spans, the access log and HTTP agree on whose fault an error is."""
    assert {kind for kind in ErrorKind if STATUS[kind] >= 500} == OUR_FAULTS


def test_nobody_is_followed_to_begin_with() -> None:
    """What asks for the trace under way finds none outside of requests."""
    assert CURRENT.get() is None
