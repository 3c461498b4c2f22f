"""Settings → what runs models: this process, or Triton, with a stand-in where one is wanted."""

import asyncio

from contract.card import ModelCard, Platform
from contract.repository import Repository
from service.engines.base import Engine
from service.engines.batcher import Batch, Batcher, BatcherEvents
from service.engines.onnx import OnnxEngine, UnusableModel
from service.engines.triton.errors import TritonRefused
from service.engines.triton.events import TritonEvents
from service.engines.triton.pool import TritonPool
from service.fallback_wiring import Fallbacks
from service.priority import LOADING, WORKING, patient_threads
from service.registry.loader import EngineRefused
from service.settings import Settings
from service.telemetry import Telemetry, VersionMetrics
from service.telemetry.tracing import BatchRun


class Engines:
    """Opens the engine of each version.

    Args:
        threads: batches that run at the same time in this process.

    Attributes:
        triton: the Tritons of the settings; None where models run in this process.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry, threads: int) -> None:
        self._settings, self._telemetry, self._threads = settings, telemetry, threads
        self._running = patient_threads(threads, "engine", WORKING)
        self._loading = patient_threads(1, "loading", LOADING)
        self._fallbacks = Fallbacks(Repository(settings.repository), telemetry, self._open_embedded)
        self.triton = self._pool() if settings.engine == "triton" else None

    async def start(self) -> None:
        """Look for Triton, where one is wanted."""
        if self.triton is not None:
            await self.triton.start()

    def ends(self) -> None:
        """The service ends: versions that are closed from now on stay in Triton, unless they are not to."""
        if self.triton is not None:
            self.triton.unload_on_close = self._settings.triton_unload_on_exit

    async def close(self) -> None:
        """Let go of Triton and of the threads, once all engines are closed."""
        if self.triton is not None:
            await self.triton.close()
        self._running.shutdown()
        self._loading.shutdown()

    def abandon(self) -> None:
        """Let go of the threads of an application that was only to be looked at; what runs is waited for."""
        self._running.shutdown(wait=False, cancel_futures=True)
        self._loading.shutdown(wait=False, cancel_futures=True)

    async def open(self, card: ModelCard, metrics: VersionMetrics) -> Engine:
        """See `OpenEngine`."""
        triton = self.triton
        if triton is None:
            return await self._open_embedded(card, metrics)
        settings = self._settings

        async def open_engine() -> Engine:
            try:
                return await triton.open(card, max_queue=settings.max_queue, max_batch_size=settings.max_batch_size)
            except TritonRefused as error:
                raise EngineRefused(str(error)) from error

        if settings.fallback == "none":
            return await open_engine()
        return await self._fallbacks.open(card, metrics, open_engine)

    async def _open_embedded(self, card: ModelCard, metrics: VersionMetrics) -> Engine:
        if card.platform is Platform.TENSORRT:
            raise EngineRefused(f"the embedded engine runs ONNX files, not {card.platform}; serve it with Triton")
        path = self._settings.repository / card.name / str(card.version) / card.platform.filename

        def open_session() -> OnnxEngine:
            return OnnxEngine(
                card,
                path,
                self._running,
                self._threads,
                self._settings.max_batch_size,
                use_gpu=self._settings.device == "auto",
                until_traffic=self._loading,
            )

        try:
            engine = await asyncio.get_running_loop().run_in_executor(self._loading, open_session)
        except UnusableModel as error:
            raise EngineRefused(str(error)) from error
        self._telemetry.engines.labels(card.name, str(card.version), engine.provider).set(1)
        return Batcher(engine, self._settings.max_queue, self.batcher_events(metrics))

    def batcher_events(self, metrics: VersionMetrics) -> BatcherEvents:
        """Where a version's batcher tells what it does."""
        telemetry = self._telemetry

        def sent(size: int) -> None:
            if not metrics.in_traffic:
                return
            metrics.batch_size.observe(size)
            telemetry.history.batch(metrics.model, metrics.version, size)

        def ran(batch: Batch) -> None:
            if not metrics.in_traffic:
                return
            for waited_s in batch.waits_s:
                metrics.queue_wait.observe(waited_s)
            metrics.engine_seconds.inc(batch.compute_s)
            if batch.wasted_s:
                metrics.wasted_seconds.inc(batch.wasted_s)
            if batch.traces:
                run = BatchRun(metrics.model, metrics.version, batch.size, batch.begun, batch.compute_s, batch.traces)
                telemetry.tracing.batch(run)

        return BatcherEvents(sent, metrics.wait, ran)

    def _pool(self) -> TritonPool:
        settings, telemetry, fallbacks = self._settings, self._telemetry, self._fallbacks

        def replica(address: str, up: bool) -> None:  # noqa: FBT001 - as `TritonEvents` has it
            telemetry.replicas.labels(address).set(up)
            fallbacks.look()

        def repaired(model: str) -> None:
            telemetry.repairs.labels(model).inc()
            fallbacks.look()

        events = TritonEvents(
            replica=replica,
            retried=lambda cause: telemetry.retries.labels(cause).inc(),
            repaired=repaired,
            left=lambda address: telemetry.forget(telemetry.replicas, address),
        )
        urls = [url.strip() for url in settings.triton_url.split(",") if url.strip()]
        return TritonPool(
            urls, shared_memory=settings.triton_shared_memory, instances=settings.triton_instances, events=events
        )
