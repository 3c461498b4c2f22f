"""Settings → a running application: everything is wired here, once."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from contract.image import DecodeLimits
from contract.repository import Repository
from service.access_wiring import Access
from service.admission import Admission
from service.admission_limit import AdaptiveLimit
from service.api.cors import SHARED
from service.api.entrance import FIGURES, OPEN, Entrance
from service.api.grpc.credentials import server_credentials
from service.api.grpc.entrance import CallEntrance
from service.api.grpc.frames import FrameStreams
from service.api.grpc.inference_protocol import InferenceProtocolCalls
from service.api.grpc.server import GrpcLimits, GrpcServer
from service.api.grpc.vision import VisionCalls
from service.api.rest.accounts import account_of, begin_account
from service.api.rest.admin import AdminRoutes, limits_of
from service.api.rest.body import BodyLimits
from service.api.rest.document import complete_document
from service.api.rest.doorman import Doorman
from service.api.rest.health import HealthRoutes
from service.api.rest.history import HistoryRoutes
from service.api.rest.inference_protocol import InferenceProtocolRoutes
from service.api.rest.misses import missed
from service.api.rest.models import ModelRoutes
from service.api.rest.pages import PageFiles
from service.api.rest.pages import router as pages_router
from service.api.rest.predict import PredictRoutes
from service.api.rest.problems import STATUS, problem
from service.api.rest.streams import StreamRoutes
from service.api.rest.video_status import links_of
from service.api.rest.videos import VideoRoutes
from service.api.websocket import StreamLimits, StreamRoute
from service.engine_wiring import Engines
from service.engines.cpus import available_cpus
from service.errors import unforeseen
from service.inference import Inference
from service.priority import WORKING, patient_threads
from service.registry.lifecycle import Lifecycle, MemoryPolicy
from service.registry.loader import OpenEngine
from service.registry.registry import Registry
from service.registry.routing_control import RoutingControl
from service.registry.routing_file import NAME as ROUTING
from service.registry.routing_file import RoutingFile
from service.registry.version import LoadedVersion
from service.rollout.rollout import Rollout
from service.served_models import release
from service.settings import Settings
from service.stream_places import StreamPlaces
from service.telemetry import Telemetry
from service.telemetry.access_log import AccessLog
from service.telemetry.tracing import NO_TRACING, Tracing
from service.tensor_inference import TensorInference
from service.url_policy import UrlPolicy
from service.video_wiring import VideoJobs, live_streams
from service.watch import Watch

_log = logging.getLogger("vitrail")

_JUDGED_EVERY_S = 1.0


class MissingExtra(Exception):
    """A setting asks for what is not installed; the message says how to get it."""


class Application:
    """The service as a value: its parts, its ASGI application, and its life."""

    def __init__(self, settings: Settings, open_engine: OpenEngine | None = None) -> None:
        self.settings = settings
        self.access = Access(settings)
        self.threads = settings.threads or available_cpus()
        self.telemetry = Telemetry(STATUS, settings.history_s)
        self.telemetry.tracing = _tracing(settings)
        self.telemetry.listeners.append(AccessLog(settings.access_log_share).ended)
        self.workers = patient_threads(self.threads, "image", WORKING)
        self.engines = Engines(settings, self.telemetry, self.threads)
        self.registry = Registry(settings.default_models)
        self.lifecycle = Lifecycle(
            self.registry,
            Repository(settings.repository),
            open_engine or self.engines.open,
            self.telemetry,
            MemoryPolicy(settings.memory_limit, settings.memory_min_idle_s),
            settings.drain_timeout_s,
        )
        self.inference = Inference(
            self.registry,
            self.telemetry,
            self.workers,
            DecodeLimits(max_pixels=settings.max_pixels),
            self._admission(),
            bring_back=self.lifecycle.bring_back,
            max_pixels_per_request=settings.max_pixels_per_request,
        )
        self.routing_file = RoutingFile(settings.repository / ROUTING)
        self.control = RoutingControl(self.routing_file, self.registry)
        self.rollout = Rollout(
            self.registry,
            self.control,
            self.telemetry,
            self._places_free,
            self.inference.decode_limits,
            max_copies=settings.max_copies,
            keep_images=settings.keep_disagreeing_images,
        )
        self.inference.observer = self.rollout
        self.policy = UrlPolicy.of(settings.allowed_urls)
        self.places = StreamPlaces(settings.max_frame_streams, settings.max_frame_streams_per_caller)
        self.video = VideoJobs(settings, self.inference, self.telemetry, self.policy, links_of)
        self.live = live_streams(settings, self.inference, self.telemetry, self.policy, self.workers)
        self.watch = Watch(self.registry, self.telemetry, self.inference, self.video.jobs, self.live)
        self.telemetry.build.labels(release()).set(1)
        self.draining = False
        self.asgi = self._build(public=True)
        self.admin_asgi = self._build(public=False) if settings.admin_port is not None else None
        """What --admin-port answers: all that --port does, and what only it does."""
        self.grpc = self._build_grpc()

    @asynccontextmanager
    async def life(self, _: FastAPI) -> AsyncIterator[None]:
        """Load in the background while the port is open already; at the end drain, then close."""
        self.control.follow(self.routing_file.changed())
        await self.engines.start()
        await self.video.start()
        tasks = [
            asyncio.create_task(self._follow_repository(), name="following the repository"),
            asyncio.create_task(self._follow_routing(), name="following the routing"),
            asyncio.create_task(self._judge(), name="judging versions on trial"),
            asyncio.create_task(self.watch.run(), name="watching the service"),
            asyncio.create_task(self.access.follow(), name="following keys and certificates"),
        ]
        for task in tasks:
            task.add_done_callback(_tell_of_an_end)
        yield
        self.draining = True
        await self.stop_streams()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.rollout.close()
        self.engines.ends()
        await self.lifecycle.close()
        await self.engines.close()
        self.workers.shutdown()
        self.telemetry.close()
        await self.telemetry.tracing.close()

    async def listen_grpc(self) -> None:
        """Answer gRPC calls from now on, until the end of `life`; AddressTaken if nobody can listen there."""
        host = self.settings.host
        await self.grpc.start(f"{f'[{host}]' if ':' in host else host}:{self.settings.grpc_port_used}")

    async def stop_streams(self) -> None:
        """End what has no end of its own; to be called as the drain begins, and again in `life`."""
        drain_s = self.settings.drain_timeout_s
        await asyncio.gather(self.grpc.stop(drain_s), self.video.close(drain_s), self.live.close(drain_s))

    def abandon(self) -> None:
        """Let go of the threads of an application that was only to be looked at; what runs is waited for."""
        self.workers.shutdown(wait=False, cancel_futures=True)
        self.engines.abandon()

    async def _follow_repository(self) -> None:
        await self.lifecycle.load_all()
        if not self.registry.models():
            _log.error("the repository %s holds no model; `vitrail-build build` makes one", self.settings.repository)
        elif self.registry.ready:
            _log.info("ready")
        while True:
            await asyncio.sleep(self.settings.repository_interval_s)
            await self.lifecycle.follow()

    async def _follow_routing(self) -> None:
        # Read and compared rather than watched for: network file systems and Kubernetes' links tell of no changes.
        while True:
            await asyncio.sleep(self.settings.routing_interval_s)
            await self.control.look()

    async def _judge(self) -> None:
        while True:
            await asyncio.sleep(_JUDGED_EVERY_S)
            await self.rollout.check()

    def _admission(self) -> Admission:
        settings = self.settings
        ceiling = settings.max_images_in_flight
        limit = AdaptiveLimit(ceiling, self._filling, settings.queue_limit_s) if settings.adaptive_limit else None
        ranked = settings.keys_file is not None or settings.jwt_keys is not None
        return Admission(self.telemetry, ceiling, settings.max_images_per_request, limit, ranked=ranked)

    def _filling(self) -> int:
        """Images that fill the engine with the most places: a batch in each, and one that gathers behind it."""
        engines = [version.loaded.engine for version in self.registry.versions() if version.loaded is not None]
        return 2 * max((engine.concurrency * engine.batch_sizes[-1] for engine in engines), default=1)

    def _places_free(self, version: LoadedVersion) -> bool:
        """Whether a batch of a version would be in no caller's way."""
        return self.inference.in_flight < min(version.engine.concurrency, self.threads)

    def _build(self, *, public: bool) -> FastAPI:
        """What a port answers; one that is ``public``, where there is another for it, has nothing of the operator's."""
        settings, access = self.settings, self.access
        apart = settings.admin_port is not None
        whole = not (public and apart)
        # FastAPI's own documentation page loads its script from elsewhere.
        app = FastAPIOffline(
            title="Vitrail",
            summary="Classify, detect, segment, embed, measure, cut out and restore what images show.",
            lifespan=self.life if public else None,
            redoc_url=None,
            # A redirect would name the address that the caller stated, which behind a proxy is not the service's.
            redirect_slashes=False,
            # It has traces and metrics of its own, which `FASTAPI_OTEL_AUTO_CONFIGURE` would send beside ours.
            telemetry={"tracing": False, "metrics": False, "logs": False},
        )
        limits = BodyLimits(
            max_bytes=settings.max_body_bytes,
            max_images=settings.max_images_per_request,
            timeout_s=settings.body_timeout_s,
            stall_s=settings.body_stall_s,
        )
        predict = PredictRoutes(self.inference, self.telemetry, self.workers, limits, settings.default_timeout_s)
        models = ModelRoutes(self.registry, self.control, self.rollout)
        admin = AdminRoutes(self.registry, self.lifecycle, self.control, models, access.admin, limits_of(limits))
        tensors = TensorInference(self.inference)
        protocol = InferenceProtocolRoutes(
            tensors,
            self.registry,
            self.telemetry,
            self.workers,
            limits,
            settings.default_timeout_s,
            lambda: self.draining,
        )
        history = HistoryRoutes(self.telemetry.history)
        health = HealthRoutes(self.registry, self.telemetry, lambda: self.draining)
        streams = StreamRoute(
            self.inference,
            self.telemetry,
            StreamLimits(settings.default_timeout_s),
            self.places,
            STATUS,
            access.pages,
        )
        videos = VideoRoutes(
            self.video.jobs,
            self.inference,
            self.telemetry,
            limits,
            self.video.probe,
            self.video.download,
            settings.default_timeout_s,
            access.pages,
        )
        live = StreamRoutes(self.live, limits_of(limits), self.workers, access.pages)
        changes = admin.router() if whole else APIRouter()
        for router in (
            predict.router(),
            videos.router(),
            live.router(),
            streams.router(),
            models.router(),
            *([changes, history.router()] if whole else []),
            protocol.router(),
            health.router(metrics=whole),
            pages_router(dashboard=whole),
        ):
            app.include_router(router)
        app.mount("/web", PageFiles())
        # A port of its own guards what is only read there; who wants more guards the port.
        open_paths = OPEN | FIGURES if apart and not public else OPEN
        app.add_middleware(Doorman, inference=self.inference, telemetry=self.telemetry)
        if access.gate is not None:
            app.add_middleware(
                Entrance, gate=access.gate, telemetry=self.telemetry, open_paths=open_paths, changes=changes.routes
            )
        if settings.cors_origins:
            # Outside of all else: what it lets pass may still be refused, and the page may read why.
            app.add_middleware(CORSMiddleware, allow_origins=settings.cors_origins, **SHARED)
        complete_document(app, keyed=settings.admin_key is not None, open_paths=open_paths if access.keyed else None)
        app.add_exception_handler(HTTPException, self._unknown_route)
        app.add_exception_handler(Exception, self._unforeseen)
        return app

    async def _unknown_route(self, request: Request, error: Exception) -> Response:
        return missed(request, error) if isinstance(error, HTTPException) else await self._unforeseen(request, error)

    async def _unforeseen(self, request: Request, error: Exception) -> Response:
        """An error that nobody foresaw: the log gets it all, the caller only the request's id."""
        path = request.scope["path"]
        account = account_of(request) or begin_account(self.telemetry, request, "", path)
        told = unforeseen()
        account.refused(told, cause=error)
        return problem(told, account.id)

    def _build_grpc(self) -> GrpcServer:
        settings = self.settings
        calls = VisionCalls(self.inference, self.telemetry, self.workers, settings.default_timeout_s)
        streams = FrameStreams(
            self.inference, self.telemetry, self.places, settings.default_timeout_s, settings.body_timeout_s
        )
        protocol = InferenceProtocolCalls(
            TensorInference(self.inference),
            self.registry,
            self.telemetry,
            self.workers,
            settings.default_timeout_s,
            settings.body_timeout_s,
            self._takes_requests,
        )
        limits = GrpcLimits(settings.max_body_bytes, settings.max_grpc_calls)
        access = self.access
        return GrpcServer(
            calls,
            streams,
            (protocol,),
            limits,
            self._takes_requests,
            entrance=CallEntrance(access.gate, self.telemetry) if access.gate is not None else None,
            credentials=server_credentials(access.certificate) if access.certificate is not None else None,
        )

    def _takes_requests(self) -> bool:
        return self.registry.ready and not self.draining


def _tracing(settings: Settings) -> Tracing:
    """What makes traces, if they are wanted; MissingExtra where the libraries for it are not there."""
    if settings.otlp_endpoint is None:
        return NO_TRACING
    try:
        # Whoever wants no traces need not have OpenTelemetry.
        from service.telemetry.otel import OtlpTracing  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtra("--otlp-endpoint needs OpenTelemetry: pip install 'vitrail[otel]'") from error
    return OtlpTracing(settings.otlp_endpoint, settings.trace_share, release())


def _tell_of_an_end(task: "asyncio.Task[None]") -> None:
    """Work that goes on as long as the service does has ended before it: nobody else would notice."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("%s has ended, and with it what it looked after", task.get_name(), exc_info=error)
