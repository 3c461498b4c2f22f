"""``grpc.health.v1.Health``: whether each service takes calls, as /readyz says it of REST."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import OVERALL_HEALTH, aio

_LOOKED_EVERY_S = 0.2

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class _Servicer(aio.HealthServicer):
    """The library's, with a ``Watch`` of its own.

    The library's holds a lock while it writes, so that one who watches and reads nothing keeps the status as it is, for
    all, and the service from ending; and when one who watches leaves, the others hear of nothing more.
    """

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:  # noqa: N802 - gRPC's name
        """The status now, and each other one that is seen."""
        told: int | None = None
        while True:
            unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            status = self._server_status.get(request.service, unknown)  # type: ignore[attr-defined]
            if status != told:
                told = status
                await context.write(health_pb2.HealthCheckResponse(status=status))
            await asyncio.sleep(_LOOKED_EVERY_S)


class Health:
    """Follows the application's readiness; those who watch hear of each change."""

    def __init__(self, ready: Callable[[], bool], services: Sequence[str]) -> None:
        self._ready = ready
        self._names = (OVERALL_HEALTH, *services)
        self.servicer = _Servicer()

    async def follow(self) -> None:
        """Look, and tell of changes, until cancelled."""
        told: bool | None = None
        while True:
            ready = self._ready()
            if ready is not told:
                told = ready
                await self._tell(ready=ready)
            await asyncio.sleep(_LOOKED_EVERY_S)

    async def _tell(self, *, ready: bool) -> None:
        for name in self._names:
            await self.servicer.set(name, _SERVING if ready else _NOT_SERVING)

    async def begin_drain(self) -> None:
        """Say from now on that nothing is taken any more."""
        await self.servicer.enter_graceful_shutdown()
