"""``/healthz``, ``/readyz`` and ``/metrics``."""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api.rest.answers import JSON
from service.api.rest.document import Responses, Schema, Status, reference
from service.registry.registry import Registry
from service.telemetry import Telemetry

METRICS = "/metrics"


def _told(description: str, media_type: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


_ALIVE: Responses = {200: _told("It is.", JSON, reference(Status))}
_READY: Responses = {
    200: _told("They will.", JSON, reference(Status)),
    503: _told("Versions are being loaded, none is ready, or the service is draining.", JSON, reference(Status)),
}
_METRICS: Responses = {
    200: _told("All metrics, in OpenMetrics' text format.", "application/openmetrics-text", {"type": "string"})
}


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """What the probes need."""

    registry: Registry
    telemetry: Telemetry
    draining: Callable[[], bool]

    def router(self, *, metrics: bool = True) -> APIRouter:
        """The probes and, unless another port has them, the metrics."""
        router = APIRouter(tags=["health"])
        for path, work, summary, responses in (
            ("/healthz", self._alive, "The process is alive", _ALIVE),
            ("/readyz", self._ready, "Requests will be answered", _READY),
            (METRICS, self._metrics, "OpenMetrics", _METRICS),
        ):
            if path == METRICS and not metrics:
                continue
            router.add_api_route(
                path, work, methods=["GET"], summary=summary, responses=responses, response_class=Response
            )
        return router

    async def _alive(self) -> Response:
        return _status(200, "alive")

    async def _ready(self) -> Response:
        """200 only after a real inference has passed, and before a shutdown has begun."""
        if self.draining():
            return _status(503, "draining")
        if not self.registry.settled:
            return _status(503, "loading")
        return _status(200, "ready") if self.registry.ready else _status(503, "no version is ready; see /v1/models")

    async def _metrics(self, request: Request) -> Response:
        # Of a hundred versions it takes a third of a second, for which every caller on the event loop would wait.
        packed = "gzip" in request.headers.get("accept-encoding", "")
        content, headers = await asyncio.to_thread(self._exposition, packed=packed)
        return Response(content, headers=headers)

    def _exposition(self, *, packed: bool) -> tuple[bytes, dict[str, str]]:
        """All metrics, and the headers that say how they are told; packed, most of them being labels over and over."""
        text, content_type = self.telemetry.exposition()
        headers = {"Content-Type": content_type, "Vary": "Accept-Encoding"}
        return (gzip.compress(text, 1), headers | {"Content-Encoding": "gzip"}) if packed else (text, headers)


def _status(code: int, status: str) -> Response:
    return Response(orjson.dumps({"status": status}), code, media_type=JSON)
