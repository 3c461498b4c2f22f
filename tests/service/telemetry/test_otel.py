"""Traces by OpenTelemetry: real spans, sent by the real exporter to a real receiver."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from contract.proto.vitrail.v1 import vision_pb2
from service.errors import ErrorKind
from service.telemetry.otel import OtlpTracing
from service.telemetry.stages import STAGES
from service.telemetry.tracing import BatchRun
from tests.otlp_receiver import OtlpReceiver, values
from tests.service.api.grpc.channel import method, open_channel
from tests.service.running import RED, running
from tests.service.telemetry.traced_requests import (
    NOBODY,
    SAMPLED,
    SPAN_ID,
    TRACE_ID,
    UNSAMPLED,
    begun,
    ended,
    tracing_to,
)


def children(parent: Span, spans: list[Span]) -> list[Span]:
    """The spans right below another."""
    return [span for span in spans if span.parent_span_id == parent.span_id]


async def test_a_request_becomes_a_span_and_one_for_each_stage(receiver: OtlpReceiver) -> None:
    """The request's own span serves it; below it is a span for each stage that took time, and no other."""
    async with tracing_to(receiver.url) as tracing:
        trace = begun(tracing)
        trace.ended(ended())
    request = receiver.span("POST /v1/detect")
    assert (request.trace_id.hex(), request.span_id.hex()) == (trace.trace_id, trace.span_id)
    assert request.kind == Span.SPAN_KIND_SERVER
    assert request.status.code == Status.STATUS_CODE_UNSET
    assert [span.name for span in children(request, receiver.spans)] == list(STAGES[:5])
    assert {span.trace_id for span in receiver.spans} == {request.trace_id}


async def test_stages_follow_one_another_from_the_requests_beginning(receiver: OtlpReceiver) -> None:
    """Each stage begins where the one before ended, and takes as long as it took."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing).ended(ended(seconds=0.04))
    request = receiver.span("POST /v1/detect")
    at = request.start_time_unix_nano
    assert request.end_time_unix_nano - at == 40_000_000
    for milliseconds, stage in zip((1, 2, 4, 8, 16), children(request, receiver.spans), strict=True):
        assert (stage.start_time_unix_nano, stage.end_time_unix_nano) == (at, at + milliseconds * 1_000_000)
        at = stage.end_time_unix_nano


async def test_a_span_says_what_was_asked_and_what_answered(receiver: OtlpReceiver) -> None:
    """Attributes have OpenTelemetry's names where it has any; those without a value are left out."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing).ended(ended())
    assert values(receiver.span("POST /v1/detect").attributes) == {
        "http.request.method": "POST",
        "http.route": "/v1/detect",
        "http.response.status_code": 200,
        "vitrail.task": "detect",
        "vitrail.model": "yolo",
        "vitrail.version": "3",
        "vitrail.transport": "rest",
        "vitrail.images": 2,
        "vitrail.request_id": "abc",
    }


async def test_a_grpc_call_is_described_as_one(receiver: OtlpReceiver) -> None:
    """Its span has the method's full name, and the status by its name."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing, "vitrail.v1.Vision/Detect").ended(ended(transport="grpc", code="OK"))
    attributes = values(receiver.span("vitrail.v1.Vision/Detect").attributes)
    assert attributes["rpc.method"] == "vitrail.v1.Vision/Detect"
    assert attributes["rpc.response.status_code"] == "OK"
    assert "http.route" not in attributes


async def test_a_frame_of_a_video_is_the_services_own_doing(receiver: OtlpReceiver) -> None:
    """Nobody asked over the network for this very frame, so its span serves nobody."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing, "frame").ended(ended(transport="video"))
    assert receiver.span("frame").kind == Span.SPAN_KIND_INTERNAL


@pytest.mark.parametrize(
    ("reason", "code", "status"),
    [
        (ErrorKind.INTERNAL, "500", Status.STATUS_CODE_ERROR),
        (ErrorKind.ENGINE_UNAVAILABLE, "503", Status.STATUS_CODE_ERROR),
        (ErrorKind.OVERLOADED, "429", Status.STATUS_CODE_UNSET),
        (ErrorKind.INVALID_IMAGE, "422", Status.STATUS_CODE_UNSET),
    ],
)
async def test_only_our_faults_are_errors(receiver: OtlpReceiver, reason: str, code: str, status: int) -> None:
    """A fault of ours makes the span an error, with its reason; the caller's mistakes do not."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing).ended(ended(reason, code=code))
    span = receiver.span("POST /v1/detect")
    assert span.status.code == status
    assert span.status.message == (reason if status == Status.STATUS_CODE_ERROR else "")
    assert values(span.attributes)["vitrail.reason"] == reason


async def test_a_callers_trace_is_continued(receiver: OtlpReceiver) -> None:
    """A sampled request of a caller is part of the caller's trace, whatever the share; its state goes along."""
    async with tracing_to(receiver.url, share=0.0) as tracing:
        trace = begun(tracing, headers=SAMPLED)
        trace.ended(ended())
    request = receiver.span("POST /v1/detect")
    assert (trace.sampled, trace.trace_id) == (True, TRACE_ID)
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert {span.trace_state for span in receiver.spans} == {"congo=t61rcWkgMzE"}


@pytest.mark.parametrize("version", ["00", "01"])
async def test_a_caller_that_does_not_sample_is_obeyed(receiver: OtlpReceiver, version: str) -> None:
    """Its ids are known to the log, but no span is made whatever the share, and no Triton is told of the trace."""
    async with tracing_to(receiver.url, share=1.0) as tracing:
        trace = begun(tracing, headers={"traceparent": f"{version}-{TRACE_ID}-{SPAN_ID}-00"})
        trace.ended(ended())
        assert (trace.sampled, trace.trace_id, trace.span_id) == (False, TRACE_ID, SPAN_ID)
        assert dict(trace.headers()) == {}
    assert receiver.spans == []


async def test_what_is_asked_on_a_requests_behalf_names_its_span(receiver: OtlpReceiver) -> None:
    """Triton is sent the trace with the request's own span as the parent, and the caller's state."""
    async with tracing_to(receiver.url) as tracing:
        continued, new = begun(tracing, headers=SAMPLED), begun(tracing)
    assert continued.headers() == {
        "traceparent": f"00-{TRACE_ID}-{continued.span_id}-01",
        "tracestate": SAMPLED["tracestate"],
    }
    assert list(new.headers()) == ["traceparent"]
    assert re.fullmatch(f"00-{new.trace_id}-{new.span_id}-0[13]", new.headers()["traceparent"])


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-00",
        f"00-{TRACE_ID}-{'0' * 16}-00",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{TRACE_ID.upper()}-{SPAN_ID}-01",
        "é" * 600,
    ],
)
async def test_a_broken_context_is_none(traceparent: str, caplog: pytest.LogCaptureFixture) -> None:
    """A header that makes no sense is as good as none, and the log says nothing about it."""
    async with tracing_to(NOBODY, share=0.0) as tracing:
        assert tracing.begin("POST /v1/detect", {"traceparent": traceparent, "tracestate": "=,=" * 400}) is None
    assert caplog.records == []


@given(
    headers=st.dictionaries(
        st.sampled_from(["traceparent", "tracestate"]),
        st.binary().map(lambda content: content.decode("latin-1")) | st.just(SAMPLED["traceparent"]),
    )
)
def test_no_header_can_do_harm(headers: dict[str, str], never_sent: OtlpTracing) -> None:
    """Whatever callers send, a request begins, and what is passed on has the form of a context."""
    trace = never_sent.begin("POST /v1/detect", headers)
    if trace is not None:
        for value in trace.headers().values():
            assert value.isascii()
            assert value.isprintable()


@pytest.fixture(scope="module")
def never_sent() -> Iterator[OtlpTracing]:
    """Tracing that follows whom its caller wants followed, and sends nothing."""
    tracing = OtlpTracing(NOBODY, 0.0, "1", 0.0)
    yield tracing
    tracing._processor.shutdown()


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
async def test_the_share_is_drawn(share: float) -> None:
    """Of requests that bring no decision, the share is followed."""
    async with tracing_to(NOBODY, share) as tracing:
        followed = sum(tracing.begin("POST /v1/detect", {}) is not None for _ in range(4000))
    assert followed == pytest.approx(4000 * share, abs=4000 * 0.04)


async def test_a_batch_is_linked_with_its_requests(receiver: OtlpReceiver) -> None:
    """A batch has a trace of its own with links to its requests, each once, and their compute spans link back."""
    async with tracing_to(receiver.url) as tracing:
        one, other, quiet = begun(tracing), begun(tracing), begun(tracing, headers=UNSAMPLED)
        run = BatchRun("yolo", "3", size=4, begun=time.monotonic() - 0.5, seconds=0.25, traces=(one, other, one, quiet))
        tracing.batch(run)
        for trace in (one, other):
            trace.ended(ended())
    batch = receiver.span("batch yolo:3")
    assert {(link.trace_id.hex(), link.span_id.hex()) for link in batch.links} == {
        (one.trace_id, one.span_id),
        (other.trace_id, other.span_id),
    }
    assert len(batch.links) == 2
    back = [link.span_id for span in receiver.spans if span.name == "compute" for link in span.links]
    assert back == [batch.span_id, batch.span_id]


async def test_a_batch_tells_its_size_and_its_time(receiver: OtlpReceiver) -> None:
    """Its span lies where the batch ran, and says how large it was."""
    async with tracing_to(receiver.url) as tracing:
        run = BatchRun("yolo", "3", size=4, begun=time.monotonic() - 0.5, seconds=0.25, traces=(begun(tracing),))
        since = time.time_ns() - 500_000_000
        tracing.batch(run)
    batch = receiver.span("batch yolo:3")
    assert values(batch.attributes) == {"vitrail.model": "yolo", "vitrail.version": "3", "vitrail.batch_size": 4}
    assert batch.end_time_unix_nano - batch.start_time_unix_nano == 250_000_000
    assert batch.start_time_unix_nano == pytest.approx(since, abs=200_000_000)


async def test_a_batch_that_nobody_follows_has_no_span(receiver: OtlpReceiver) -> None:
    """Unsampled requests leave no trace, not even of their batches."""
    async with tracing_to(receiver.url) as tracing:
        tracing.batch(BatchRun("yolo", "3", 4, time.monotonic(), 0.25, (begun(tracing, headers=UNSAMPLED),)))
    assert receiver.requests == []


async def test_hostile_text_does_not_cost_a_span(receiver: OtlpReceiver) -> None:
    """What no text may be is replaced, and what is endless is cut; no other span is lost by it."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing, "POST /v2/models/\ud800" + "x" * 9999).ended(ended(request_id="\udfff\0\n"))
        begun(tracing).ended(ended())
    names = {span.name for span in receiver.spans if not span.parent_span_id}
    assert names == {"POST /v1/detect", "POST /v2/models/?" + "x" * 239}
    ids = {values(span.attributes).get("vitrail.request_id") for span in receiver.spans}
    assert ids == {None, "abc", "?\0\n"}


async def test_who_sends_is_told(receiver: OtlpReceiver) -> None:
    """The resource is this service, of this version."""
    async with tracing_to(receiver.url) as tracing:
        begun(tracing).ended(ended())
    assert receiver.resource["service.name"] == "vitrail"
    assert receiver.resource["service.version"] == "1.2.3"
    assert receiver.resource["telemetry.sdk.name"] == "opentelemetry"
    assert [path for path, _, _ in receiver.requests] == ["/v1/traces"]


async def test_the_usual_variables_hold(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name, attributes, headers and compression come from the environment where they stand there."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "street-cameras")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.version=9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    async with tracing_to(f"{receiver.url}/elsewhere/traces") as tracing:
        begun(tracing).ended(ended())
    ((path, headers, _),) = receiver.requests
    assert (path, headers["authorization"], headers["content-encoding"]) == (
        "/elsewhere/traces",
        "Bearer secret",
        "gzip",
    )
    assert receiver.resource["service.name"] == "street-cameras"
    assert receiver.resource["service.version"] == "9"
    assert receiver.resource["deployment.environment.name"] == "test"


async def test_requests_to_the_service_are_traced(tiny_repository: Path, receiver: OtlpReceiver) -> None:
    """A request by REST continues its caller's trace, with its stages and its batch; another is not followed."""
    async with running(tiny_repository, otlp_endpoint=receiver.url, trace_share=0.0) as service:
        await service.ask("/v1/classify?model=colours:1", RED)
        response = await service.ask("/v1/classify?model=colours:1", RED, **SAMPLED)
    request, batch = receiver.span("POST /v1/classify"), receiver.span("batch colours:1")
    attributes = values(request.attributes)
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert attributes["vitrail.request_id"] == response.headers["x-request-id"]
    assert (attributes["vitrail.model"], attributes["http.response.status_code"]) == ("colours", 200)
    assert {"decode", "compute"} <= {span.name for span in children(request, receiver.spans)}
    assert [link.span_id for link in batch.links] == [request.span_id]
    assert [link.span_id for link in receiver.span("compute").links] == [batch.span_id]


async def test_calls_of_the_service_are_traced(tiny_repository: Path, receiver: OtlpReceiver) -> None:
    """A call by gRPC continues its caller's trace too; one that fails by its caller's fault is no error."""
    request = vision_pb2.ClassifyRequest(images=[b"no image"])
    async with (
        running(tiny_repository, otlp_endpoint=receiver.url, trace_share=0.0) as service,
        open_channel(service) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError):
            await method(channel, "Classify")(request, metadata=tuple(SAMPLED.items()))
    (span,) = [span for span in receiver.spans if span.parent_span_id.hex() == SPAN_ID]
    assert (span.name, span.trace_id.hex()) == ("vitrail.v1.VisionService/Classify", TRACE_ID)
    assert span.status.code == Status.STATUS_CODE_UNSET
    attributes = values(span.attributes)
    assert (attributes["rpc.response.status_code"], attributes["vitrail.reason"]) == (
        "INVALID_ARGUMENT",
        "invalid_image",
    )
