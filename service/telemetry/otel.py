"""Traces by OpenTelemetry, sent by OTLP over HTTP.

The spans of a request are made once it is over, from the times of its stages. Only its ids are drawn as it begins:
Triton, the log and the metrics name them while it is under way. A request that is not sampled so costs next to
nothing, and no code on its way knows of spans.
"""

import asyncio
import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.telemetry.quiet_exporter import QuietExporter
from service.telemetry.stages import STAGES
from service.telemetry.tracing import OUR_FAULTS, BatchRun, Trace

if TYPE_CHECKING:
    from service.telemetry.account import Ended

_CONTEXT = TraceContextTextMapPropagator()
_IDS = RandomIdGenerator()
_NEW = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)
_UNSAMPLED = re.compile("00-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f][02468ace]")
"""A ``traceparent`` of today's version without the flag ``sampled``."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_UNSET = Status()
_SERVED = frozenset({"rest", "grpc", "websocket"})
"""Transports by which somebody asks; frames of videos and of live streams are the service's own doing."""
_LONGEST = 256
"""Characters of a text in a span: paths are the callers' own."""
_PATH = "/v1/traces"

Attributes = dict[str, str | int]


class UnsampledTrace:
    """A request whose caller said not to follow it: the log may name the caller's trace and span, that is all."""

    __slots__ = ("span_id", "trace_id")
    sampled = False

    def __init__(self, trace_id: str, span_id: str) -> None:
        self.trace_id = trace_id
        self.span_id = span_id

    def headers(self) -> Mapping[str, str]:
        """None: Triton traces whatever names a trace, sampled or not."""
        return _NO_HEADERS

    def ended(self, ended: "Ended") -> None:
        """Nothing comes of it."""


class OtlpTrace:
    """A request that is followed."""

    __slots__ = ("_batches", "_context", "_name", "_parent", "_tracing", "span_id", "trace_id")
    sampled = True

    def __init__(self, tracing: "OtlpTracing", name: str, context: SpanContext, parent: SpanContext | None) -> None:
        self._tracing = tracing
        self._name = name
        self._context = context
        self._parent = parent
        self._batches: list[SpanContext] = []
        self.trace_id = f"{context.trace_id:032x}"
        self.span_id = f"{context.span_id:016x}"

    def headers(self) -> Mapping[str, str]:
        """See `Trace.headers`."""
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier, set_span_in_context(NonRecordingSpan(self._context)))
        return carrier

    def link(self, batch: SpanContext) -> Link:
        """A batch has computed images of this request; gives the way back."""
        self._batches.append(batch)
        return Link(self._context)

    def ended(self, ended: "Ended") -> None:
        """See `Trace.ended`."""
        # From its end back: the clock on the wall may have been set while it was under way.
        end = time.time_ns()
        begun = at = end - round(ended.seconds * 1e9)
        self._tracing.send(
            _bounded(self._name),
            self._context,
            self._parent,
            (begun, end),
            kind=SpanKind.SERVER if ended.transport in _SERVED else SpanKind.INTERNAL,
            attributes=_attributes(self._name, ended),
            status=Status(StatusCode.ERROR, ended.reason) if ended.reason in OUR_FAULTS else _UNSET,
        )
        for stage, seconds in zip(STAGES, ended.stages.seconds, strict=True):
            if seconds > 0:
                since, at = at, at + round(seconds * 1e9)
                links = [Link(batch) for batch in self._batches] if stage == "compute" else ()
                self._tracing.send(stage, _child(self._context), self._context, (since, at), links=links)


class OtlpTracing:
    """The Tracing that sends its spans to an endpoint, from a thread of its own.

    What the endpoint does not take is dropped, and so is the oldest of what waits once that is too much: 2048 spans, or
    as many as ``OTEL_BSP_MAX_QUEUE_SIZE`` says. OpenTelemetry's other variables hold too: ``OTEL_SERVICE_NAME``,
    ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_BSP_*`` and ``OTEL_EXPORTER_OTLP_*``, but for those of endpoint and sampler.

    Args:
        endpoint: where OTLP over HTTP is taken; without a path, ``/v1/traces`` is added.
        share: of the requests whose callers do not decide, 0…1.
        version: of the service.
        close_s: seconds that `close` takes at most.
    """

    def __init__(self, endpoint: str, share: float, version: str, close_s: float = 3.0) -> None:
        self._bound = TraceIdRatioBased.get_bound_for_rate(share)
        self._close_s = close_s
        self._resource = _resource(version)
        self._scope = InstrumentationScope("vitrail", version)
        self._exporter = QuietExporter(_with_path(endpoint))
        self._processor = BatchSpanProcessor(self._exporter)

    def begin(self, name: str, headers: Mapping[str, str]) -> Trace | None:
        """See `Tracing.begin`; where no caller decides, it is drawn by the trace's new id."""
        if "traceparent" in headers:
            # Behind many a proxy every request has one that says no, so that is seen without the whole propagator.
            if unsampled := _UNSAMPLED.fullmatch(headers["traceparent"]):
                return UnsampledTrace(*unsampled.groups())
            parent = get_current_span(_CONTEXT.extract(headers)).get_span_context()
            if parent.is_valid:
                return self._continued(name, parent)
        trace_id = _IDS.generate_trace_id()
        if trace_id & TraceIdRatioBased.TRACE_ID_LIMIT >= self._bound:
            return None
        return OtlpTrace(
            self, name, SpanContext(trace_id, _IDS.generate_span_id(), is_remote=False, trace_flags=_NEW), None
        )

    def _continued(self, name: str, parent: SpanContext) -> Trace:
        if parent.trace_flags.sampled:
            return OtlpTrace(self, name, _child(parent), parent)
        return UnsampledTrace(f"{parent.trace_id:032x}", f"{parent.span_id:016x}")

    def batch(self, run: BatchRun) -> None:
        """See `Tracing.batch`."""
        requests = {trace.span_id: trace for trace in run.traces if isinstance(trace, OtlpTrace)}
        if not requests:
            return
        context = SpanContext(_IDS.generate_trace_id(), _IDS.generate_span_id(), is_remote=False, trace_flags=_NEW)
        begun = time.time_ns() - round((time.monotonic() - run.begun) * 1e9)
        attributes: Attributes = {
            "vitrail.model": run.model,
            "vitrail.version": run.version,
            "vitrail.batch_size": run.size,
        }
        self.send(
            f"batch {run.model}:{run.version}",
            context,
            None,
            (begun, begun + round(run.seconds * 1e9)),
            attributes=attributes,
            links=[trace.link(context) for trace in requests.values()],
        )

    def send(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times: tuple[int, int],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[Link] = (),
        status: Status = _UNSET,
    ) -> None:
        """A span that is over; ``times`` are its first and last nanosecond since 1970."""
        self._processor.on_end(
            ReadableSpan(
                name,
                context,
                parent,
                self._resource,
                attributes,
                links=links,
                kind=kind,
                status=status,
                start_time=times[0],
                end_time=times[1],
                instrumentation_scope=self._scope,
            )
        )

    async def close(self) -> None:
        """See `Tracing.close`."""
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send_the_rest() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            # The loop may have ended: nobody waits any more.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(sent.set)

        # No thread of the loop's own pool: its end would be waited for, however long that takes.
        threading.Thread(target=send_the_rest, name="last traces", daemon=True).start()
        try:
            async with asyncio.timeout(self._close_s):
                await sent.wait()
        except TimeoutError:
            self._exporter.shutdown()


def _resource(version: str) -> Resource:
    """Who sends; what the environment says about it goes first."""
    own = {"service.name": "vitrail", "service.version": version, "service.instance.id": str(uuid4())}
    return Resource.create({**own, **OTELResourceDetector().detect().attributes})


def _with_path(endpoint: str) -> str:
    url = urlsplit(endpoint)
    return url._replace(path=_PATH).geturl() if url.path in ("", "/") else endpoint


def _child(parent: SpanContext) -> SpanContext:
    return SpanContext(
        parent.trace_id,
        _IDS.generate_span_id(),
        is_remote=False,
        trace_flags=parent.trace_flags,
        trace_state=parent.trace_state,
    )


def _attributes(name: str, ended: "Ended") -> Attributes:
    """Names by OpenTelemetry's semantic conventions where it has any."""
    attributes: Attributes = {
        "vitrail.task": ended.task,
        "vitrail.model": ended.model,
        "vitrail.version": ended.version,
        "vitrail.alias": ended.alias,
        "vitrail.transport": ended.transport,
        "vitrail.request_id": _bounded(ended.request_id),
        "vitrail.reason": ended.reason,
        "vitrail.images": ended.images,
    }
    if ended.transport == "rest":
        method, _, path = name.partition(" ")
        attributes["http.request.method"] = method
        attributes["http.route"] = _bounded(path)
        attributes["http.response.status_code"] = int(ended.code)
    elif ended.transport == "grpc":
        attributes["rpc.system.name"] = "grpc"
        attributes["rpc.method"] = _bounded(name)
        attributes["rpc.response.status_code"] = ended.code
    if ended.reason in OUR_FAULTS:
        attributes["error.type"] = ended.reason
    return {key: value for key, value in attributes.items() if value != ""}


def _bounded(text: str) -> str:
    """Not too long, and such as UTF-8 has: a span's name that is none would cost its whole batch."""
    return text[:_LONGEST].encode(errors="replace").decode()
