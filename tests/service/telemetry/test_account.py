"""What one request leaves behind."""

import logging

import pytest

from service.errors import ErrorKind, ServiceError, overloaded
from service.telemetry import Ended, Telemetry, Transport


@pytest.fixture
def telemetry() -> Telemetry:
    """One that knows a code for an error."""
    return Telemetry({ErrorKind.OVERLOADED: 429})


def heard_by(telemetry: Telemetry) -> list[Ended]:
    """Everything that is over from now on."""
    heard: list[Ended] = []
    telemetry.listeners.append(heard.append)
    return heard


def sample(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    """One figure."""
    return telemetry.registry.get_sample_value(name, labels)


def test_an_answer_is_told_once_and_whole(telemetry: Telemetry) -> None:
    """Listeners hear who answered whom, over what, and how much was sent."""
    heard = heard_by(telemetry)
    account = telemetry.account(Transport.GRPC, "classify", "abc", {})
    account.stages.compute, account.received_bytes = 0.5, 100
    account.answered(telemetry.of_version("classify", "colours", 2), "canary", "OK", 3, 40)
    (ended,) = heard
    assert (ended.task, ended.model, ended.version, ended.alias) == ("classify", "colours", "2", "canary")
    assert (ended.transport, ended.code, ended.reason, ended.images) == ("grpc", "OK", "", 3)
    assert (ended.stages.compute, ended.request_id, ended.trace_id) == (0.5, "abc", "")
    assert (ended.received_bytes, ended.sent_bytes) == (100, 40)
    assert ended.seconds >= 0


def test_a_refusal_names_its_kind_and_no_model(telemetry: Telemetry) -> None:
    """The usual code stands for a transport that has none of its own."""
    heard = heard_by(telemetry)
    telemetry.account(Transport.VIDEO, "detect", "abc", {}).refused(overloaded("later"))
    (ended,) = heard
    assert (ended.code, ended.reason, ended.model, ended.images) == ("429", "overloaded", "", 0)
    labels = {"task": "detect", "reason": "overloaded", "transport": "video"}
    assert sample(telemetry, "vitrail_rejections_total", **labels) == 1


def test_bytes_are_counted_by_transport(telemetry: Telemetry) -> None:
    """Those of refused requests too: they came."""
    account = telemetry.account(Transport.REST, "classify", "abc", {})
    account.received_bytes = 70
    account.refused(overloaded("later"))
    assert sample(telemetry, "vitrail_received_bytes_total", transport="rest") == 70
    assert sample(telemetry, "vitrail_sent_bytes_total", transport="rest") == 0


def test_a_fault_of_ours_is_logged_with_its_cause(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    """The caller's faults are not."""
    internal = ServiceError(ErrorKind.INTERNAL, "something went wrong")
    with caplog.at_level(logging.ERROR):
        telemetry.account(Transport.REST, "classify", "abc", {}).refused(overloaded("later"))
        telemetry.account(Transport.REST, "classify", "def", {}).refused(internal, cause=ZeroDivisionError("why"))
    (record,) = caplog.records
    assert record.getMessage() == "request def failed: why"


def test_work_for_later_has_no_time(telemetry: Telemetry) -> None:
    """A video that was taken in is counted as a request, in no histogram."""
    account = telemetry.account(Transport.REST, "detect", "abc", {})
    account.accepted(telemetry.of_version("detect", "yolo", 1), "202")
    labels = {"task": "detect", "model": "yolo", "version": "1"}
    requests = {**labels, "alias": "", "code": "202", "transport": "rest"}
    assert sample(telemetry, "vitrail_requests_total", **requests) == 1
    assert sample(telemetry, "vitrail_request_seconds_count", **labels, transport="rest") is None
