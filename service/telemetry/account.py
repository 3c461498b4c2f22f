"""One request, or one frame of a stream, from its first byte to its answer: what it leaves behind is written here."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from service.errors import ErrorKind, ServiceError
from service.telemetry.stages import Stages
from service.telemetry.tracing import Trace

if TYPE_CHECKING:
    from service.telemetry.metrics import Telemetry, VersionMetrics

_log = logging.getLogger("vitrail.requests")


class Transport(StrEnum):
    """The way by which a request came, as a metric's label."""

    REST = "rest"
    GRPC = "grpc"
    WEBSOCKET = "websocket"
    VIDEO = "video"
    """A frame, or a clip, of a video job."""
    LIVE = "live"
    """A frame of a live stream."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that is over, for those who keep or send on what happened."""

    task: str
    model: str
    """Empty where a request was refused: the name may be any string that a caller made up."""
    version: str
    alias: str
    transport: str
    code: str
    """An HTTP status; over gRPC the name of a status."""
    reason: str
    """The kind of error; empty where there was an answer."""
    images: int
    seconds: float
    """From its first byte to its answer, by the clock; its stages are a little less."""
    stages: Stages
    request_id: str
    trace_id: str
    """Empty unless the trace is sampled: there is nothing to be found under its id."""
    received_bytes: int
    sent_bytes: int


Listener = Callable[[Ended], None]
"""Hears of every request that is over; it must be quick."""


class Account:
    """What one request leaves behind; it is ended once, by `answered` or by `refused`.

    Attributes:
        task: as a metric's label; empty while nobody knows.
        id: the request's.
        stages: filled as the request goes on.
        trace: None if nobody follows it.
        begun: the moment of `time.monotonic` from which on its time runs.
        received_bytes: of its body.
    """

    __slots__ = ("_telemetry", "_transport", "begun", "id", "received_bytes", "stages", "task", "trace")

    def __init__(
        self,
        telemetry: "Telemetry",
        transport: Transport,
        task: str,
        id_: str,
        trace: Trace | None,
        begun: float | None = None,
    ) -> None:
        self.begun = time.monotonic() if begun is None else begun
        self._telemetry = telemetry
        self._transport = transport
        self.task = task
        self.id = id_
        self.trace = trace
        self.stages = Stages()
        self.received_bytes = 0

    def of_task(self, task: str) -> None:
        """What it is for is known now."""
        self.task = task

    def answered(
        self, version: "VersionMetrics", alias: str | None, code: str, images: int, sent_bytes: int = 0
    ) -> None:
        """It got its answer, from this version; over nothing that has bytes, none are sent."""
        ended = self._ended(code, version, alias=alias or "", images=images, sent_bytes=sent_bytes)
        version.answered(ended)
        self._over(ended)

    def accepted(self, version: "VersionMetrics", code: str) -> None:
        """It is work for later: it is counted, and its trace ends; its time is that of an upload, and in no figure."""
        version.requests("", code, self._transport).inc()
        self._telemetry.count_bytes(self._transport, self.received_bytes, 0)
        if self.trace is not None:
            self.trace.ended(self._ended(code, version))

    def refused(self, error: ServiceError, code: str = "", cause: BaseException | None = None) -> None:
        """It gets no answer but an error, by this code or the usual one; the log hears of it if the fault is ours."""
        if error.kind is ErrorKind.INTERNAL:
            _log.error(
                "request %s failed: %s",
                self.id,
                cause or error,
                exc_info=cause or error,
                extra={"request_id": self.id},
            )
        ended = self._ended(code or self._telemetry.code_of(error.kind), reason=error.kind)
        self._telemetry.refused(ended)
        self._over(ended)

    def _ended(
        self,
        code: str,
        version: "VersionMetrics | None" = None,
        *,
        alias: str = "",
        reason: str = "",
        images: int = 0,
        sent_bytes: int = 0,
    ) -> Ended:
        """How it ended; without a version no model is named, for that may be any string that a caller made up."""
        task, model, number = (self.task, "", "") if version is None else (version.task, version.model, version.version)
        return Ended(
            task,
            model,
            number,
            alias,
            self._transport,
            code,
            reason,
            images,
            time.monotonic() - self.begun,
            self.stages,
            self.id,
            self.trace.trace_id if self.trace is not None and self.trace.sampled else "",
            self.received_bytes,
            sent_bytes,
        )

    def _over(self, ended: Ended) -> None:
        self._telemetry.count_bytes(self._transport, ended.received_bytes, ended.sent_bytes)
        for listener in self._telemetry.listeners:
            listener(ended)
        if self.trace is not None:
            self.trace.ended(ended)
