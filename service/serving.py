"""The service itself: read the settings, listen, serve, drain."""

import asyncio
import gc
import logging
import math
import os
import socket
import sys
from types import FrameType
from typing import Any, Literal, NoReturn

import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError
from pydantic_settings import CliApp, SettingsError

from service.access_wiring import UnusableAccess
from service.allocator import keep_freed_memory
from service.api.grpc.server import AddressTaken
from service.api.rest.tls_door import TlsDoors
from service.api.rest.wire import BoundedProtocol, StreamProtocol
from service.app import Application, MissingExtra
from service.doctor.start import explain
from service.engines.cpus import available_cpus
from service.security.certificate import Certificate
from service.settings import Settings
from service.telemetry import logs

_log = logging.getLogger("vitrail")

_LOOK_S = 0.1
_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
)
"""Of every answer: a browser takes it for what it says it is, and neither frames it elsewhere nor names it there."""
_OVER_TLS = (("Strict-Transport-Security", "max-age=31536000"),)
_NOT_STARTED = 3
"""The exit status of a service that could not listen; uvicorn's own."""


class Server(uvicorn.Server):
    """Uvicorn, with a drain: readiness goes first, listening ends a while later, requests in flight are finished."""

    def __init__(self, config: uvicorn.Config, application: Application, admin: uvicorn.Config | None = None) -> None:
        """``admin`` is for the port of the operator, if there is one."""
        super().__init__(config)
        self._application = application
        self._admin = admin
        self.failed = False
        """It could not listen where it was to."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell where: port 0 means any that is free."""
        await super().startup(sockets)
        for server in self.servers:
            self._tell("listening on", server)
        if not self.should_exit and self._admin is not None:
            await self._listen_for_admin(self._admin)
        if not self.should_exit:
            await self._listen_grpc()

    def _tell(self, what: str, server: asyncio.Server) -> None:
        scheme = "http" if self._application.access.certificate is None else "https"
        for listener in server.sockets:
            host, port = listener.getsockname()[:2]
            _log.info("%s %s://%s", what, scheme, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    async def _listen_for_admin(self, config: uvicorn.Config) -> None:
        """Listen on the operator's port too; its connections live and end as the others do."""
        config.load()

        def protocol() -> asyncio.Protocol:
            made: Any = config.http_protocol_class
            connection: asyncio.Protocol = made(
                config=config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return connection

        try:
            server = await asyncio.get_running_loop().create_server(
                protocol, config.host, config.port, backlog=config.backlog
            )
        except OSError as error:
            _log.error("%s; --admin-port names another port", error)
            await self._give_up()
            return
        self.servers.append(server)
        self._tell("listening for admin calls on", server)

    async def _give_up(self) -> None:
        self.failed = self.should_exit = True
        await self.shutdown()

    async def _listen_grpc(self) -> None:
        try:
            await self._application.listen_grpc()
        except AddressTaken as error:
            _log.error("%s; --grpc-port names another port", error)
            await self._give_up()
            return
        _log.info("listening for gRPC on port %d", self._application.grpc.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let REST, gRPC and videos finish at the same time: who reads the results of a video waits for its end."""
        streams, rest = self._application.stop_streams(), super().shutdown(sockets)
        ending = asyncio.gather(streams, rest)
        while not (ending.done() or self.force_exit):
            await asyncio.wait([ending], timeout=_LOOK_S)
        if self.force_exit:
            _leave()
        await ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain, a second one ends at once.

        Uvicorn's own method would have the signal kill the process after a clean shutdown; a drain that went well is
        a success, and its exit status 0.
        """
        del sig, frame
        if self._application.draining:
            self.force_exit = True
            self._application.grpc.abandon()
            self._stop()
            return
        self._application.draining = True
        if delay := self._application.settings.drain_delay_s:
            _log.info("draining: not ready from now on, listening for %g s more", delay)
            asyncio.get_running_loop().call_later(delay, self._stop)
        else:
            self._stop()

    def _stop(self) -> None:
        self.should_exit = True


def main() -> None:
    """Serve, as the command line and the environment say; until a signal ends it."""
    settings = _read_settings()
    keep_freed_memory(heaps=max(2, settings.threads or available_cpus()))
    logs.configure(settings.log_level, settings.log_format)
    application = _application(settings)
    # One for both ports: what they may take, they may take together.
    protocol = _protocol(application.access.certificate)
    config = _config(application, application.asgi, settings.port, protocol)
    server = Server(config, application, _admin_config(application, protocol))
    # All that is there by now stays to the end. A full collection that looked at it too held up all requests for 90 ms.
    gc.collect()
    gc.freeze()
    server.run()
    if server.force_exit:
        _leave()
    if server.failed:
        sys.exit(_NOT_STARTED)


def _admin_config(application: Application, protocol: Any) -> uvicorn.Config | None:
    port = application.settings.admin_port
    if port is None or application.admin_asgi is None:
        return None
    # The application's life is begun and ended once, by the other.
    return _config(application, application.admin_asgi, port, protocol, lifespan="off")


def _config(
    application: Application, asgi: FastAPI, port: int, protocol: Any, lifespan: Literal["auto", "off"] = "auto"
) -> uvicorn.Config:
    settings, certificate = application.settings, application.access.certificate
    return uvicorn.Config(
        asgi,
        host=settings.host,
        port=port,
        lifespan=lifespan,
        loop="uvloop",
        http=protocol,
        ws=StreamProtocol,
        ws_max_size=settings.max_body_bytes,
        # Pings keep proxies from closing a quiet stream. Pongs stand behind the frames that a busy stream does not read
        # yet, so a late one means nothing; callers that are gone are found by the pauses that a stream allows.
        ws_ping_timeout=None,
        # Encoded images do not get smaller.
        ws_per_message_deflate=False,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout_s),
        # The server adds these to every answer as it adds the date: at no cost that could be measured.
        headers=[*_HEADERS, *(_OVER_TLS if certificate is not None else ())],
    )


def _protocol(certificate: Certificate | None) -> Any:
    """What makes the protocol of each connection."""
    if certificate is None:
        return BoundedProtocol
    limits = BoundedProtocol.most_connections, BoundedProtocol.head_timeout_s
    return TlsDoors(BoundedProtocol, certificate.context, *limits)


def _application(settings: Settings) -> Application:
    try:
        return Application(settings)
    except (MissingExtra, UnusableAccess) as error:
        print(f"vitrail-serve: {error}", file=sys.stderr)  # noqa: T201 - for a person at the start, as for a wrong setting
        sys.exit(2)


def _leave() -> NoReturn:
    """End at once: the loop's end, and the interpreter's, would wait for threads, and one may wait for a camera."""
    logging.shutdown()
    os._exit(1)


def _read_settings() -> Settings:
    """The settings from flags and environment; leaves with status 2 and a plain message if one is wrong."""
    try:
        return CliApp.run(Settings)
    except SettingsError as error:
        problems = [str(error)]
    except ValidationError as error:
        problems = [explain(problem) for problem in error.errors(include_url=False)]
    for problem in problems:
        print(f"vitrail-serve: {problem}", file=sys.stderr)  # noqa: T201 - the log is not set up yet
    sys.exit(2)
