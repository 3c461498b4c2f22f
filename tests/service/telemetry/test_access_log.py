"""The access log: who is logged, and what is told."""

import logging
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ErrorKind
from service.telemetry.access_log import AccessLog
from service.telemetry.account import Ended
from service.telemetry.json_log import JsonFormatter
from service.telemetry.stages import Stages
from service.telemetry.tracing import OUR_FAULTS


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vitrail.access")


def ended(request_id: str = "abc", *, reason: str = "", trace_id: str = "") -> Ended:
    """A request that is over."""
    model, version, alias, code = ("", "", "", "503") if reason else ("yolo", "3", "stable", "200")
    stages = Stages(decode=0.002, compute=0.0098765)
    return Ended(
        "detect", model, version, alias, "rest", code, reason, 1, 0.0125, stages, request_id, trace_id, 9120, 310
    )


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """A record as the JSON that it becomes."""
    entry: dict[str, Any] = orjson.loads(JsonFormatter().format(record))
    return entry


def test_all_or_none(caplog: pytest.LogCaptureFixture) -> None:
    """The whole share logs every request, no share none."""
    for number in range(50):
        AccessLog(1.0).ended(ended(f"id-{number}"))
        AccessLog(0.0).ended(ended(f"id-{number}"))
    assert [fields(record)["request_id"] for record in caplog.records] == [f"id-{number}" for number in range(50)]


def test_a_share_of_the_requests_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Ids that count up are drawn as evenly as any."""
    log = AccessLog(0.25)
    for number in range(4000):
        log.ended(ended(f"id-{number}"))
    assert len(caplog.records) == pytest.approx(1000, abs=120)


@given(request_id=st.text(st.sampled_from("ab-1\ud800é")), share=st.floats(0, 1))
def test_a_request_is_logged_everywhere_or_nowhere(request_id: str, share: float) -> None:
    """Two services with the same share decide alike, and a larger share logs all that a smaller one does."""
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[method-assign]
    logger = logging.getLogger("vitrail.access")
    logger.addHandler(handler)
    # What cannot be encoded would stand in the report, which one process of the tests sends to another.
    logger.propagate = False
    try:
        counts = []
        for each in (share, share, min(1.0, share * 1.5)):
            AccessLog(each).ended(ended(request_id))
            counts.append(len(heard))
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert counts in ([0, 0, 0], [0, 0, 1], [1, 2, 3])


@pytest.mark.parametrize("reason", sorted(ErrorKind))
def test_our_faults_are_always_logged(reason: ErrorKind, caplog: pytest.LogCaptureFixture) -> None:
    """What failed by a fault of ours has its line without any share; what failed by the caller's has none."""
    AccessLog(0.0).ended(ended(reason=reason))
    assert [fields(record)["reason"] for record in caplog.records] == ([reason] if reason in OUR_FAULTS else [])


def test_a_sampled_trace_is_always_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Who looks at a trace finds its line."""
    AccessLog(0.0).ended(ended(trace_id="0af7651916cd43dd8448eb211c80319c"))
    (record,) = caplog.records
    assert fields(record)["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_a_line_for_people(caplog: pytest.LogCaptureFixture) -> None:
    """All that is known, in one line; stages that took no time are left out."""
    AccessLog(1.0).ended(ended())
    assert caplog.messages == [
        "rest detect yolo:3@stable 200 in 12.5 ms (decode 2, compute 9.877), 1 image, 9120 B in, 310 B out, request abc"
    ]


def test_a_refusal_for_people(caplog: pytest.LogCaptureFixture) -> None:
    """It names no model, but the reason."""
    AccessLog(0.0).ended(ended(reason=ErrorKind.ENGINE_UNAVAILABLE, trace_id="f00"))
    (message,) = caplog.messages
    assert message.startswith("rest detect 503 engine_unavailable in 12.5 ms (")
    assert message.endswith(", request abc trace f00")


def test_a_line_for_programs(caplog: pytest.LogCaptureFixture) -> None:
    """The same as fields, times in milliseconds."""
    AccessLog(1.0).ended(ended())
    (record,) = caplog.records
    entry = fields(record)
    assert entry.pop("time")
    assert entry == {
        "level": "INFO",
        "logger": "vitrail.access",
        "message": "answered",
        "transport": "rest",
        "task": "detect",
        "model": "yolo",
        "version": "3",
        "alias": "stable",
        "code": "200",
        "reason": "",
        "images": 1,
        "total_ms": 12.5,
        "stages_ms": {"decode": 2.0, "compute": 9.877},
        "received_bytes": 9120,
        "sent_bytes": 310,
        "request_id": "abc",
    }


def test_a_log_that_nobody_hears_costs_no_line(caplog: pytest.LogCaptureFixture) -> None:
    """Above the level of these lines, none is made."""
    caplog.set_level(logging.WARNING, "vitrail.access")
    AccessLog(1.0).ended(ended())
    assert caplog.records == []
