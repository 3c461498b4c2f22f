"""``/healthz``, ``/readyz`` and ``/metrics``."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from service.registry.registry import Registry
from service.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class HealthRoutes:
    """What the probes need."""

    registry: Registry
    telemetry: Telemetry
    draining: Callable[[], bool]

    def router(self) -> APIRouter:
        """The probes and the metrics."""
        router = APIRouter(tags=["health"])
        router.add_api_route("/healthz", self._alive, methods=["GET"], summary="The process is alive")
        router.add_api_route("/readyz", self._ready, methods=["GET"], summary="Requests will be answered")
        router.add_api_route("/metrics", self._metrics, methods=["GET"], summary="OpenMetrics")
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

    async def _metrics(self) -> Response:
        text, content_type = self.telemetry.exposition()
        return Response(text, headers={"Content-Type": content_type})


def _status(code: int, status: str) -> Response:
    return Response(orjson.dumps({"status": status}), code, media_type="application/json")
