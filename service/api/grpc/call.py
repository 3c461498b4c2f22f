"""What every call has, whatever it asks for: its metadata, its id, its deadline, and an end that is told of."""

import asyncio
import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import grpc

from service.api.grpc.errors import CODES, trailers
from service.api.grpc.stream_writer import StreamWriter
from service.api.request_id import request_id
from service.errors import ErrorKind, ServiceError, unforeseen
from service.inference import Answer
from service.telemetry import Telemetry

Context = grpc.aio.ServicerContext[Any, Any]

_log = logging.getLogger("vitrail.grpc")


def metadata_of(context: Context) -> Mapping[str, str]:
    """A call's metadata by name in lower case, as REST's headers; what is binary is left out."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def deadline_of(context: Context, longest_s: float) -> float:
    """The moment of `time.monotonic` after which the caller no longer waits; at most so many seconds from now."""
    left = context.time_remaining()
    return time.monotonic() + (longest_s if left is None else min(left, longest_s))


class Call:
    """A call while it is worked on: ``async with Call(…)`` tells its caller, the metrics and the log how it ended.

    Attributes:
        task: what it is for, as a metric's label; empty while nobody knows.
        metadata: what the caller sent along, by name in lower case.
        id: the request's.
        deadline: a moment of `time.monotonic`.
    """

    def __init__(self, context: Context, telemetry: Telemetry, task: str, longest_s: float) -> None:
        self._context = context
        self._telemetry = telemetry
        self._writer: StreamWriter | None = None
        self.task = task
        self.metadata = metadata_of(context)
        self.id = request_id(self.metadata.get("x-request-id"))
        self.deadline = deadline_of(context, longest_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call by the status that belongs to an error; what nobody foresaw is INTERNAL, and logged."""
        if isinstance(error, asyncio.CancelledError):
            error = ServiceError(ErrorKind.CANCELLED, "the caller has left")
            self.refused(error)
        elif isinstance(error, ServiceError):
            self.refused(error)
            await self._abort(error)
        elif isinstance(error, Exception):
            told = unforeseen()
            self.refused(told, error)
            await self._abort(told)

    def stream(self, stall_s: float) -> StreamWriter:
        """The way for a stream's answers; its caller may leave none unread for so many seconds."""
        self._writer = StreamWriter(self._context, stall_s)
        return self._writer

    async def _abort(self, error: ServiceError) -> None:
        if self._writer is not None:
            await self._writer.settle()
        await self._context.abort(CODES[error.kind], error.message, trailers(error, self.id))

    def answered(self, answer: Answer) -> None:
        """Count a request, or a frame of a stream, that got its answer."""
        self._telemetry.requests.labels(self.task, answer.model, str(answer.version), grpc.StatusCode.OK.name).inc()

    def refused(self, error: ServiceError, cause: BaseException | None = None) -> None:
        """Count a request, or a frame of a stream, that gets none; the log hears of it if it is our fault."""
        if error.kind is ErrorKind.INTERNAL:
            _log.error("request %s failed: %s", self.id, cause or error, exc_info=cause or error)
        self._telemetry.rejections.labels(self.task, error.kind).inc()
        # The model may be any string that a caller made up, so it is no label here.
        self._telemetry.requests.labels(self.task, "", "", CODES[error.kind].name).inc()
