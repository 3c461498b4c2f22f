"""``vitrail-serve``: read the settings, listen, serve, drain."""

import asyncio
import logging
import math
import os
import socket
import sys
from types import FrameType
from typing import NoReturn

import uvicorn
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import CliApp, SettingsError
from rich.logging import RichHandler

from service.allocator import keep_freed_memory
from service.api.grpc.server import AddressTaken
from service.api.rest.wire import BoundedProtocol, StreamProtocol
from service.app import Application
from service.engines.cpus import available_cpus
from service.settings import Settings

_log = logging.getLogger("vitrail")

_LOOK_S = 0.1
_NOT_STARTED = 3
"""The exit status of a service that could not listen; uvicorn's own."""


class Server(uvicorn.Server):
    """Uvicorn, with a drain: readiness goes first, listening ends a while later, requests in flight are finished."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application
        self.failed = False
        """It could not listen where it was to."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and tell where: port 0 means any that is free."""
        await super().startup(sockets)
        for server in self.servers:
            for listener in server.sockets:
                host, port = listener.getsockname()[:2]
                _log.info("listening on http://%s", f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        if not self.should_exit:
            await self._listen_grpc()

    async def _listen_grpc(self) -> None:
        try:
            await self._application.listen_grpc()
        except AddressTaken as error:
            _log.error("%s; --grpc-port names another port", error)
            self.failed = self.should_exit = True
            await self.shutdown()
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
    """Console entry point."""
    settings = _read_settings()
    keep_freed_memory(heaps=max(2, settings.threads or available_cpus()))
    _configure_logging(settings.log_level)
    application = Application(settings)
    config = uvicorn.Config(
        application.asgi,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedProtocol,
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
    )
    server = Server(config, application)
    server.run()
    if server.force_exit:
        _leave()
    if server.failed:
        sys.exit(_NOT_STARTED)


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
        problems = [_explain(problem) for problem in error.errors(include_url=False)]
    for problem in problems:
        print(f"vitrail-serve: {problem}", file=sys.stderr)  # noqa: T201 - the log is not set up yet
    sys.exit(2)


def _explain(problem: ErrorDetails) -> str:
    if not problem["loc"]:
        # It is about several settings, and names them.
        return problem["msg"].removeprefix("Value error, ")
    field, *within = (str(part) for part in problem["loc"])
    where = f" ({'.'.join(within)})" if within else ""
    return f"--{field.replace('_', '-')} or VITRAIL_{field.upper()}{where}: {problem['msg']}"


def _configure_logging(level: str) -> None:
    handler: logging.Handler = RichHandler(show_path=False, markup=False) if sys.stderr.isatty() else _plain_handler()
    logging.basicConfig(level=level.upper(), handlers=[handler], format="%(message)s")
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))
    # It warns of every broken form; the caller is told of that, and the metrics count it.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # They name whole addresses, with the passwords and signatures of webhooks and of videos by URL.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _plain_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return handler


if __name__ == "__main__":
    main()
