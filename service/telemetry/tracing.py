"""What the service asks of tracing, whoever makes the spans: a request begins, it ends, batches run.

Nothing here knows OpenTelemetry: without an endpoint for traces it is never imported.
"""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.errors import ErrorKind

if TYPE_CHECKING:
    from service.telemetry.account import Ended

OUR_FAULTS: frozenset[str] = frozenset(
    {ErrorKind.INTERNAL, ErrorKind.ENGINE_UNAVAILABLE, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.STORAGE_FULL}
)
"""Reasons that are the service's own fault, in every transport: those that HTTP counts from 500 up."""


class Trace(Protocol):
    """One request as its trace sees it. Its ids are known as it begins; its spans are made once it is over."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        ...

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits, of the request's own span."""
        ...

    @property
    def sampled(self) -> bool:
        """Spans will be made. If not, its caller decided so, and the ids are for the log only."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What goes along with requests made on its behalf: ``traceparent``, and ``tracestate`` if there is one.

        Nothing if it is not sampled.
        """
        ...

    def ended(self, ended: "Ended") -> None:
        """It ends now. If it is sampled, that makes a span for it and one for each stage that took time."""
        ...


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A batch that went through the engine."""

    model: str
    version: str
    size: int
    """Images."""
    begun: float
    """A moment of `time.monotonic`."""
    seconds: float
    """In the engine."""
    traces: Sequence[Trace]
    """Those of its images' requests, as far as there are any; one may stand there several times."""


class Tracing(Protocol):
    """What makes traces of requests and batches; each of its methods but `close` is quick and never fails."""

    def begin(self, name: str, headers: Mapping[str, str]) -> Trace | None:
        """A request begins.

        Args:
            name: of its span: ``POST /v1/detect``, or a gRPC method by its full name.
            headers: the request's, found by names in lower case.

        Returns:
            None if nobody follows the request, which then costs nothing more.
        """
        ...

    def batch(self, run: BatchRun) -> None:
        """A batch is done: it gets a span of its own, with links to its sampled requests; without any, none."""
        ...

    async def close(self) -> None:
        """Send what is left, within bounds; what ends later is dropped."""
        ...


class _NoTracing:
    """Follows nobody."""

    def begin(self, name: str, headers: Mapping[str, str]) -> Trace | None:
        """See `Tracing.begin`."""
        del name, headers
        return None

    def batch(self, run: BatchRun) -> None:
        """See `Tracing.batch`."""

    async def close(self) -> None:
        """See `Tracing.close`."""


NO_TRACING: Tracing = _NoTracing()
"""Where there is no endpoint for traces."""

CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the request that is under way; the batcher, the client of Triton and the log ask it."""
