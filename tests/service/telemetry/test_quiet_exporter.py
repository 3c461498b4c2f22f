"""Endpoints that take no traces: the log hears of it once, and nobody is harmed."""

import logging
from pathlib import Path

import pytest

from tests.doubles import until
from tests.otlp_receiver import OtlpReceiver, receiving
from tests.service.running import RED, running
from tests.service.telemetry.traced_requests import NOBODY, begun, ended, tracing_to


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans are sent a moment after they are made, by the variable that OpenTelemetry has for it."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """The level and the text of each line of the log."""
    return [(record.levelno, record.getMessage()) for record in caplog.records]


async def test_a_dead_endpoint_is_told_once(
    at_once: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """However many batches are dropped, the log has one warning, and requests go on."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.05")
    caplog.set_level(logging.DEBUG)
    with receiving() as gone:
        pass
    async with tracing_to(gone.url) as tracing:
        for _ in range(3):
            await until(lambda: not tracing._processor._batch_processor._queue)
            begun(tracing).ended(ended())
    warnings = [(level, text) for level, text in told(caplog) if level >= logging.INFO]
    assert len(warnings) == 1
    assert warnings[0][0] == logging.WARNING
    assert warnings[0][1].startswith(f"traces are dropped: 127.0.0.1:{gone.port} does not take them: ")


async def test_an_endpoint_that_refuses_and_then_takes_is_told_twice(
    receiver: OtlpReceiver, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning with the reason as traces begin to be dropped, one line as they are taken again."""
    caplog.set_level(logging.INFO)
    async with tracing_to(receiver.url) as tracing:
        receiver.status = 400
        for refused in (1, 2):
            begun(tracing).ended(ended())
            await until(lambda refused=refused: receiver.refused >= refused)
        receiver.status = 200
        begun(tracing).ended(ended())
        await until(lambda: receiver.requests)
    (first, warning), (second, line) = told(caplog)
    assert (first, second) == (logging.WARNING, logging.INFO)
    assert "400" in warning
    assert line == f"127.0.0.1:{receiver.port} takes traces again"


async def test_closing_does_not_wait_for_a_dead_endpoint(caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be sent in the time that is given for it is not; the warning names the reason, but no secret."""
    with receiving() as gone:
        pass
    async with tracing_to(f"http://user:password@127.0.0.1:{gone.port}?key=secret", close_s=0.05) as tracing:
        begun(tracing).ended(ended())
    # The exporter gives up its pause between two tries, so its thread ends by itself.
    await until(lambda: not tracing._processor._batch_processor._worker_thread.is_alive())
    ((level, warning),) = told(caplog)
    assert level == logging.WARNING
    assert "refused" in warning
    assert "password" not in warning
    assert "secret" not in warning


async def test_what_ends_after_the_close_is_dropped(receiver: OtlpReceiver) -> None:
    """A late request meets no error."""
    async with tracing_to(receiver.url) as tracing:
        late = begun(tracing)
    late.ended(ended())
    await tracing.close()
    assert receiver.requests == []


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver) -> None:
    """More spans than the queue holds cost the oldest, no memory, and nobody's time."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    async with tracing_to(receiver.url) as tracing:
        receiver.status = 400
        for _ in range(100):
            begun(tracing).ended(ended())
        assert len(tracing._processor._batch_processor._queue) <= 8


async def test_a_dead_endpoint_harms_no_request(tiny_repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody takes traces, requests are answered as ever."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.05")
    async with running(tiny_repository, otlp_endpoint=NOBODY, trace_share=1.0) as service:
        answers = [await service.ask("/v1/classify?model=colours:1", RED) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
