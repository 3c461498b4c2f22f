"""What every call has, whatever it asks for: its metadata, its id, its deadline, and an end that is told of."""

import asyncio
import time
from collections.abc import Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import grpc

from service.api.grpc.errors import CODES, trailers
from service.api.grpc.stream_writer import StreamWriter
from service.api.request_id import request_id
from service.errors import ErrorKind, ServiceError, unforeseen
from service.registry.version import LoadedVersion
from service.security.caller import ANYONE, Caller
from service.telemetry import Account, Stages, Telemetry, Transport

Context = grpc.aio.ServicerContext[Any, Any]

CALLER: ContextVar[Caller] = ContextVar("caller", default=ANYONE)
"""Who makes the call that is under way; set where calls come in."""


def metadata_of(context: Context) -> Mapping[str, str]:
    """A call's metadata by name in lower case, as REST's headers; what is binary is left out."""
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}


def host_of(context: Context) -> str:
    """Where a call comes from; gRPC says ``ipv4:192.0.2.1:55555``, ``ipv6:%5B::1%5D:55555`` or ``unix:``."""
    return unquote(context.peer().partition(":")[2].rpartition(":")[0]).strip("[]")


def deadline_of(context: Context, longest_s: float) -> float:
    """The moment of `time.monotonic` after which the caller no longer waits; at most so many seconds from now."""
    left = context.time_remaining()
    return time.monotonic() + (longest_s if left is None else min(left, longest_s))


def trailing(request_id: str, stages: Stages, stand_in: str) -> tuple[tuple[str, str], ...]:
    """The metadata behind a good answer; ``stand_in`` is what gave it where the version's engine was away."""
    told = (("x-request-id", request_id), ("server-timing", stages.as_server_timing()))
    return (*told, ("x-vitrail-degraded", stand_in)) if stand_in else told


class Call:
    """A call while it is worked on: ``async with Call(…)`` tells its caller, the metrics and the log how it ended.

    Attributes:
        account: what it leaves behind; the frames of a stream have accounts of their own.
        caller: who makes it.
        metadata: what the caller sent along, by name in lower case.
        id: the request's.
        deadline: a moment of `time.monotonic`.
    """

    def __init__(self, context: Context, telemetry: Telemetry, name: str, longest_s: float, task: str = "") -> None:
        """``name`` is the call's, ``service/method``; the task is empty while nobody knows."""
        self._context = context
        self._telemetry = telemetry
        self._name = name
        self._writer: StreamWriter | None = None
        self.caller = CALLER.get()
        self.metadata = metadata_of(context)
        self.id = request_id(self.metadata.get("x-request-id"))
        self.account = self.of_its_own(task)
        self.deadline = deadline_of(context, longest_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the call by the status that belongs to an error; what nobody foresaw is INTERNAL, and logged."""
        if isinstance(error, asyncio.CancelledError):
            error = ServiceError(ErrorKind.CANCELLED, "the caller has left")
            refused(self.account, error)
        elif isinstance(error, ServiceError):
            refused(self.account, error)
            await self._abort(error)
        elif isinstance(error, Exception):
            told = unforeseen()
            refused(self.account, told, error)
            await self._abort(told)

    def stream(self, stall_s: float) -> StreamWriter:
        """The way for a stream's answers; its caller may leave none unread for so many seconds."""
        self._writer = StreamWriter(self._context, stall_s)
        return self._writer

    async def _abort(self, error: ServiceError) -> None:
        if self._writer is not None:
            await self._writer.settle()
        await self._context.abort(CODES[error.kind], error.message, trailers(error, self.id))

    def of_its_own(self, task: str) -> Account:
        """An account for a request, or a frame, of this call; to be asked for in a task that does nothing else."""
        return self._telemetry.account(Transport.GRPC, task, self.id, self.metadata, self._name)


def answered(account: Account, version: LoadedVersion, alias: str | None, images: int, sent_bytes: int) -> None:
    """Note a request, or a frame, that got its answer."""
    account.answered(version.metrics, alias, grpc.StatusCode.OK.name, images, sent_bytes)


def refused(account: Account, error: ServiceError, cause: BaseException | None = None) -> None:
    """Note a request, or a frame, that gets none."""
    account.refused(error, CODES[error.kind].name, cause)
