"""The service with nothing that observes it, to measure what observing costs.

    python -m benchmarks.unobserved_service

Requests are not counted, no stage is put into a histogram, no history is kept, nothing is looked at once a second. The
times of the stages are still taken, for they are a part of every answer.
"""

import asyncio
from collections.abc import Mapping

from service import app, serving
from service.engine_wiring import Engines
from service.engines.batcher import BatcherEvents
from service.errors import ServiceError
from service.telemetry import Account, Telemetry, Transport, VersionMetrics
from service.watch import Watch


class Unseen(Account):
    """Leaves nothing behind."""

    __slots__ = ()

    def answered(self, version: VersionMetrics, alias: str | None, code: str, images: int, sent_bytes: int = 0) -> None:
        """See `Account.answered`; nothing happens."""

    def refused(self, error: ServiceError, code: str = "", cause: BaseException | None = None) -> None:
        """See `Account.refused`; nothing happens."""


class Silent(Telemetry):
    """Counts nothing."""

    def account(
        self,
        transport: Transport,
        task: str,
        request_id: str,
        headers: Mapping[str, str],
        name: str = "",
        begun: float | None = None,
    ) -> Account:
        """See `Telemetry.account`."""
        del headers, name
        return Unseen(self, transport, task, request_id, None, begun)

    def count_pixels(self, task: str, pixels: int) -> None:
        """See `Telemetry.count_pixels`; nothing happens."""


class Unobserved(Engines):
    """The engines, of which nobody hears."""

    def batcher_events(self, metrics: VersionMetrics) -> BatcherEvents:
        """See `Engines.batcher_events`."""
        del metrics
        return BatcherEvents.silent()


async def _sleep(_: Watch) -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    # There is no setting for this: nobody should run it so.
    app.Telemetry = Silent  # type: ignore[misc]
    Watch.run = _sleep  # type: ignore[method-assign]
    app.Engines = Unobserved  # type: ignore[misc]
    serving.main()
