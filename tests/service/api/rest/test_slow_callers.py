"""Slow callers: neither what is written for them nor what comes of them fills the memory, or the descriptors."""

import asyncio
import socket
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.rest.wire import BoundedProtocol
from tests.doubles import until
from tests.service.api.listening import listening
from tests.service.running import RED, running

_LARGE = bytes(32 << 20)
_ASKED = b"GET / HTTP/1.1\r\nHost: service\r\n\r\n"


class HastyProtocol(BoundedProtocol):
    """Bears with nobody for long."""

    read_stall_s = 0.1


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """An application with a large answer."""
    await Response(_LARGE)(scope, receive, send)


async def test_who_reads_nothing_is_let_go() -> None:
    """A connection whose caller takes nothing of its answer is ended, and what it held is free."""
    async with listening(large, HastyProtocol) as listener:
        with socket.create_connection(("127.0.0.1", listener.port)) as caller:
            caller.sendall(_ASKED)
            await until(lambda: listener.state.connections)
            await until(lambda: not listener.state.connections)
        assert not listener.state.tasks


async def test_who_reads_slowly_gets_everything() -> None:
    """A caller that takes its answer in small pieces gets the whole of it, however long that takes."""
    async with listening(large, HastyProtocol) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=1 << 16)
        writer.write(_ASKED)
        head, received = await reader.readuntil(b"\r\n\r\n"), 0
        while received < len(_LARGE):
            received += len(await reader.read(1 << 20))
            await asyncio.sleep(0.001)
        writer.close()
        assert (head[9:12], received) == (b"200", len(_LARGE))


class NarrowProtocol(BoundedProtocol):
    """Takes two connections."""

    most_connections = 2


async def test_connections_are_bounded() -> None:
    """One connection too many is told so and closed; when another has gone, the next one is taken."""
    async with listening(large, NarrowProtocol) as listener:
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
        await until(lambda: len(listener.state.connections) == 2)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        assert (await reader.read()).startswith(b"HTTP/1.1 503")
        writer.close()
        held.pop()[1].close()
        await until(lambda: len(listener.state.connections) == 1)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(_ASKED)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        for _, one in (*held, (reader, writer)):
            one.transport.abort()


async def test_bodies_that_arrive_slowly_fill_no_memory(tiny_repository: Path) -> None:
    """Beyond sixteen of the largest bodies that are on their way a further one is refused, until others have gone."""
    async with running(tiny_repository, max_body_bytes=1000) as service, listening(service.application.asgi) as port:
        callers = [await _begin(port.port, 940) for _ in range(17)]
        await until(lambda: len(port.state.tasks) == 17)
        reader, last = await _begin(port.port, 940)
        assert (await reader.readline()).startswith(b"HTTP/1.1 429")
        for _, writer in (*callers, (reader, last)):
            writer.transport.abort()
        await until(lambda: not port.state.tasks)
        assert (await service.ask("/v1/classify", RED)).status_code == 200


async def _begin(port: int, length: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request of which all but the end has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n")
    writer.write(bytes(length))
    await writer.drain()
    return reader, writer
