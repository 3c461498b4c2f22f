"""Requests that begin and end as far as their traces are concerned."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.telemetry.account import Ended
from service.telemetry.otel import OtlpTracing
from service.telemetry.stages import Stages
from service.telemetry.tracing import Trace

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01", "tracestate": "congo=t61rcWkgMzE"}
UNSAMPLED = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-00"}
"""What callers send along who want their trace continued, and who do not."""
NOBODY = "http://127.0.0.1:9"
"""An endpoint where nobody listens."""


def ended(
    reason: str = "",
    *,
    transport: str = "rest",
    code: str = "200",
    seconds: float = 0.031,
    stages: Stages | None = None,
    request_id: str = "abc",
) -> Ended:
    """A request that is over."""
    model, version = ("", "") if reason else ("yolo", "3")
    stages = Stages(0.001, 0.002, 0.004, 0.008, 0.016) if stages is None else stages
    return Ended("detect", model, version, "", transport, code, reason, 2, seconds, stages, request_id, "", 10_000, 500)


def begun(tracing: OtlpTracing, name: str = "POST /v1/detect", headers: dict[str, str] | None = None) -> Trace:
    """The trace of a request; there is one."""
    trace = tracing.begin(name, headers or {})
    assert trace is not None
    return trace


@asynccontextmanager
async def tracing_to(url: str, share: float = 1.0, close_s: float = 10.0) -> AsyncIterator[OtlpTracing]:
    """Tracing until the end of the block; then all is sent."""
    tracing = OtlpTracing(url, share, "1.2.3", close_s)
    try:
        yield tracing
    finally:
        await tracing.close()
