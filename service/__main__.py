"""``vitrail-serve``: read the settings, listen, serve, drain."""

import asyncio
import logging
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp
from rich.console import Console
from rich.logging import RichHandler

from service.allocator import keep_freed_memory
from service.app import Application
from service.settings import Settings


class Server(uvicorn.Server):
    """Uvicorn, with a drain: readiness goes first, listening ends a while later, requests in flight are finished."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain, a second one ends at once."""
        delay = self._application.settings.drain_delay_s
        if self._application.draining or delay == 0:
            self._application.draining = True
            super().handle_exit(sig, frame)
            return
        self._application.draining = True
        asyncio.get_running_loop().call_later(delay, super().handle_exit, sig, frame)


def main() -> None:
    """Console entry point."""
    try:
        settings = CliApp.run(Settings)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            name = ".".join(str(part) for part in problem["loc"]).replace("_", "-")
            Console(stderr=True).print(f"[red]--{name}[/]: {problem['msg']}", highlight=False)
        sys.exit(2)
    keep_freed_memory()
    _configure_logging(settings.log_level)
    application = Application(settings)
    config = uvicorn.Config(
        application.asgi,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=round(settings.drain_timeout_s),
    )
    Server(config, application).run()


def _configure_logging(level: str) -> None:
    handler: logging.Handler = RichHandler(show_path=False, markup=False) if sys.stderr.isatty() else _plain_handler()
    logging.basicConfig(level=level.upper(), handlers=[handler], format="%(message)s")
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLogger().level))


def _plain_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return handler


if __name__ == "__main__":
    main()
