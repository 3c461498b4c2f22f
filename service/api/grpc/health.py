"""``grpc.health.v1.Health``: whether each service takes calls, as /readyz says it of REST."""

import asyncio
from collections.abc import Callable, Sequence

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import OVERALL_HEALTH, aio

_LOOKED_EVERY_S = 0.2

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """Follows the application's readiness; those who watch hear of each change."""

    def __init__(self, ready: Callable[[], bool], services: Sequence[str]) -> None:
        self._ready = ready
        self._names = (OVERALL_HEALTH, *services)
        self.servicer = aio.HealthServicer()

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
