"""An application on a real socket, within the test's own process, as `vitrail-serve` puts it there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from service.api.rest.wire import BoundedProtocol, StreamProtocol


@dataclass(frozen=True)
class Listener:
    """Where it listens, and what it knows of its connections."""

    port: int
    state: ServerState

    def url(self, query: str) -> str:
        """The address of a stream."""
        return f"ws://127.0.0.1:{self.port}/v1/stream?{query}"

    def shut_down(self) -> None:
        """What uvicorn does to every connection when the service ends."""
        for connection in list(self.state.connections):
            connection.shutdown()


@asynccontextmanager
async def listening(
    asgi: Any,
    http: type[BoundedProtocol] = BoundedProtocol,
    stream: type[StreamProtocol] = StreamProtocol,
    max_frame_bytes: int = 1 << 20,
) -> AsyncIterator[Listener]:
    """Listen on a free port; at the end all connections are told to close."""
    config = uvicorn.Config(
        asgi,
        http=http,
        ws=stream,
        ws_max_size=max_frame_bytes,
        ws_ping_timeout=None,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: http(config, state, {}), "127.0.0.1", 0)
    listener = Listener(server.sockets[0].getsockname()[1], state)
    try:
        yield listener
    finally:
        server.close()
        listener.shut_down()
        await server.wait_closed()
        await asyncio.gather(*state.tasks)
