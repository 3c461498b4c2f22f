"""The access log: a line for a request that is over, with the time of each of its stages."""

import logging
from collections.abc import Iterator
from typing import Any
from zlib import crc32

from service.telemetry.account import Ended
from service.telemetry.stages import STAGES
from service.telemetry.tracing import OUR_FAULTS

_log = logging.getLogger("vitrail.access")


class AccessLog:
    """Writes about a share of all requests, about every sampled trace, and about all that fail by a fault of ours.

    The share is drawn by the request's id: a request that passes several services, or comes again under the same id,
    is logged by all of them or by none.

    Args:
        share: 0…1.
    """

    def __init__(self, share: float) -> None:
        self._bound = round(share * 2**32)

    def ended(self, ended: Ended) -> None:
        """A request is over."""
        if (
            ended.trace_id
            or (ended.reason and ended.reason in OUR_FAULTS)
            or (self._bound and crc32(ended.request_id.encode(errors="replace")) < self._bound)
        ) and _log.isEnabledFor(logging.INFO):
            _log.info("%s", _Line(ended), extra={"fields": _fields(ended)})


class _Line:
    """A request in one line for people; it is put together only if somebody reads it."""

    __slots__ = ("_ended",)

    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    def __str__(self) -> str:
        return " ".join(_words(self._ended))


def _words(ended: Ended) -> Iterator[str]:
    """``rest detect yolo:3@stable 200 in 12.3 ms (decode 2.1, compute 9.8), 1 image, 9120 B in, 310 B out, …``."""
    yield ended.transport
    if ended.task:
        yield ended.task
    if ended.model:
        yield f"{ended.model}:{ended.version}" + (f"@{ended.alias}" if ended.alias else "")
    yield ended.code
    if ended.reason:
        yield ended.reason
    stages = ", ".join(f"{stage} {milliseconds:g}" for stage, milliseconds in _stages(ended).items())
    yield f"in {ended.seconds * 1e3:.4g} ms" + (f" ({stages})," if stages else ",")
    yield f"{ended.images} {'image' if ended.images == 1 else 'images'},"
    yield f"{ended.received_bytes} B in, {ended.sent_bytes} B out, request {ended.request_id}"
    if ended.trace_id:
        yield f"trace {ended.trace_id}"


def _fields(ended: Ended) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "message": "refused" if ended.reason else "answered",
        "transport": ended.transport,
        "task": ended.task,
        "model": ended.model,
        "version": ended.version,
        "alias": ended.alias,
        "code": ended.code,
        "reason": ended.reason,
        "images": ended.images,
        "total_ms": round(ended.seconds * 1e3, 3),
        "stages_ms": _stages(ended),
        "received_bytes": ended.received_bytes,
        "sent_bytes": ended.sent_bytes,
        "request_id": ended.request_id,
    }
    if ended.trace_id:
        fields["trace_id"] = ended.trace_id
    return fields


def _stages(ended: Ended) -> dict[str, float]:
    """Milliseconds in each stage that took time."""
    return {
        stage: round(seconds * 1e3, 3)
        for stage, seconds in zip(STAGES, ended.stages.seconds, strict=True)
        if seconds > 0
    }
