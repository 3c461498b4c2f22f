"""Settings → a running application: everything is wired here, once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from contract.card import ModelCard, Platform
from contract.image import DecodeLimits
from contract.repository import Repository
from service.api.rest.body import BodyLimits
from service.api.rest.health import HealthRoutes
from service.api.rest.models import ModelRoutes
from service.api.rest.pages import PageFiles
from service.api.rest.pages import router as pages_router
from service.api.rest.predict import PredictRoutes, request_id_of
from service.api.rest.problems import http_problem, problem
from service.engines.base import Engine
from service.engines.batcher import Batcher, BatcherGauges
from service.engines.cpus import available_cpus
from service.engines.onnx import OnnxEngine, UnusableModel
from service.errors import ErrorKind, ServiceError
from service.inference import Inference
from service.registry.registry import EngineRefused, OpenEngine, Registry
from service.registry.routing_file import NAME as ROUTING
from service.registry.routing_file import RoutingFile
from service.registry.traffic import Routing
from service.settings import Settings
from service.telemetry import Telemetry, VersionMetrics

_log = logging.getLogger("vitrail")


class Application:
    """The service as a value: its parts, its ASGI application, and its life."""

    def __init__(self, settings: Settings, open_engine: OpenEngine | None = None) -> None:
        self.settings = settings
        self.threads = settings.threads or available_cpus()
        self.telemetry = Telemetry()
        self.workers = ThreadPoolExecutor(self.threads, thread_name_prefix="image")
        self.engine_threads = ThreadPoolExecutor(self.threads, thread_name_prefix="engine")
        self.registry = Registry(
            Repository(settings.repository),
            open_engine or self._open_engine,
            self.telemetry,
            dict(settings.default_models),
        )
        self.inference = Inference(
            self.registry,
            self.telemetry,
            self.workers,
            DecodeLimits(max_pixels=settings.max_pixels),
            max_images_in_flight=settings.max_images_in_flight,
            max_images_per_request=settings.max_images_per_request,
        )
        self.routing_file = RoutingFile(settings.repository / ROUTING)
        self.draining = False
        self.asgi = self._build()

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        """Load in the background while the port is open already; at the end drain, then close."""
        self._follow_routing(self.routing_file.changed())
        tasks = [asyncio.create_task(self._load()), asyncio.create_task(self._watch_routing())]
        yield
        self.draining = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.registry.close()
        self.workers.shutdown()
        self.engine_threads.shutdown()

    def abandon(self) -> None:
        """Let go of all work that has not begun, after a shutdown that was not to wait; what runs is waited for."""
        self.workers.shutdown(wait=False, cancel_futures=True)
        self.engine_threads.shutdown(wait=False, cancel_futures=True)

    async def _load(self) -> None:
        await self.registry.load_all()
        if not self.registry.models():
            _log.error("the repository %s holds no model; `vitrail-build build` makes one", self.settings.repository)
        elif self.registry.ready:
            _log.info("ready")

    async def _watch_routing(self) -> None:
        # Read and compared rather than watched for: network file systems and Kubernetes' links tell of no changes.
        while True:
            await asyncio.sleep(self.settings.routing_interval_s)
            self._follow_routing(await asyncio.to_thread(self.routing_file.changed))

    def _follow_routing(self, routing: Routing | None) -> None:
        if routing is not None:
            self.registry.route(routing)
            _log.info("following %s: %d models are routed", ROUTING, len(routing.models))

    async def _open_engine(self, card: ModelCard, metrics: VersionMetrics) -> Engine:
        if card.platform is not Platform.ONNX:
            raise EngineRefused(f"the embedded engine runs {Platform.ONNX}, not {card.platform}")
        path = self.settings.repository / card.name / str(card.version) / card.platform.filename
        try:
            engine = await asyncio.to_thread(
                OnnxEngine,
                card,
                path,
                self.engine_threads,
                self.threads,
                self.settings.max_batch_size,
                use_gpu=self.settings.device == "auto",
            )
        except UnusableModel as error:
            raise EngineRefused(str(error)) from error
        self.telemetry.engines.labels(card.name, str(card.version), engine.provider).set(1)
        gauges = BatcherGauges(metrics.batch_size.observe, metrics.queue_depth.set)
        return Batcher(engine, self.settings.max_queue, gauges)

    def _build(self) -> FastAPI:
        settings = self.settings
        # FastAPI's own documentation page loads its script from elsewhere.
        app = FastAPIOffline(
            title="Vitrail",
            summary="Classify, detect, segment, embed, measure, cut out and restore what images show.",
            lifespan=self.life,
            redoc_url=None,
            # A redirect would name the address that the caller stated, which behind a proxy is not the service's.
            redirect_slashes=False,
        )
        limits = BodyLimits(
            max_bytes=settings.max_body_bytes,
            max_images=settings.max_images_per_request,
            timeout_s=settings.body_timeout_s,
            stall_s=settings.body_stall_s,
        )
        predict = PredictRoutes(self.inference, self.telemetry, self.workers, limits, settings.default_timeout_s)
        health = HealthRoutes(self.registry, self.telemetry, lambda: self.draining)
        for router in (
            predict.router(),
            ModelRoutes(self.registry, lambda: self.routing_file.problem).router(),
            health.router(),
            pages_router(),
        ):
            app.include_router(router)
        app.mount("/web", PageFiles())
        app.add_exception_handler(HTTPException, _unknown_route)
        app.add_exception_handler(Exception, _unforeseen)
        return app


async def _unknown_route(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return await _unforeseen(request, error)
    response = http_problem(error.status_code, request_id_of(request))
    # 405 says which methods there are.
    response.headers.update(error.headers or {})
    return response


async def _unforeseen(request: Request, error: Exception) -> Response:
    """An error that nobody foresaw: the log gets it all, the caller only the request's id."""
    request_id = request_id_of(request)
    _log.error("request %s failed", request_id, exc_info=error)
    message = "the service made a mistake; its log tells more under this request's id"
    return problem(ServiceError(ErrorKind.INTERNAL, message), request_id)
