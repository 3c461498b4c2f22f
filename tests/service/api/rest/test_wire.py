"""What comes over a connection, byte by byte, where a client of HTTP would not let one say it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.api.rest.wire import BoundedProtocol
from tests.service.running import BLUE, GREEN, RED, Running


class HastyProtocol(BoundedProtocol):
    """Waits a tenth of a second for a head."""

    head_timeout_s = 0.1


@asynccontextmanager
async def listening(service: Running, protocol: type[BoundedProtocol] = BoundedProtocol) -> AsyncIterator[int]:
    """The port of a listener that speaks to the service."""
    config = uvicorn.Config(service.application.asgi, http=protocol, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol(config, state, {}), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        await server.wait_closed()


async def exchange(port: int, *pieces: bytes) -> bytes:
    """Send pieces, each by itself, and read until the service closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        return await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()


def request(image: bytes, *headers: str, chunked: bool = False) -> bytes:
    """A request with an image, whole."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(image)}"
    lines = ["POST /v1/classify HTTP/1.1", "Host: here", "Content-Type: image/png", length, *headers, "", ""]
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(image), image) if chunked else image
    return "\r\n".join(lines).encode() + body


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")


def best_labels(answer: bytes) -> list[str]:
    """The best label in each of the answers on a connection."""
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    return [json.loads(body)["results"][0]["classes"][0]["label"] for body in bodies]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cut", [None, 20, -1, -30])
async def test_a_wish_to_upgrade_does_not_cost_the_body(service: Running, chunked: bool, cut: int | None) -> None:
    """Clients that would rather speak HTTP/2 send their image along; it is answered, and so is what follows."""
    first = request(GREEN, *UPGRADE, chunked=chunked)
    pieces = [first] if cut is None else [first[:cut], first[cut:]]
    async with listening(service) as port:
        answer = await exchange(port, *pieces, request(BLUE, "Connection: close"))
    assert best_labels(answer) == ["green", "blue"]


async def test_many_wishes_to_upgrade_at_once(service: Running) -> None:
    """Any number of such requests in one piece is answered in order."""
    colours = [RED, GREEN, BLUE] * 8
    data = b"".join(request(colour, *UPGRADE) for colour in colours) + request(RED, "Connection: close")
    async with listening(service) as port:
        answer = await exchange(port, data)
    assert best_labels(answer) == [*["red", "green", "blue"] * 8, "red"]


async def test_a_wish_to_upgrade_without_a_body(service: Running) -> None:
    """Where there is nothing to read, nothing is waited for."""
    head = "\r\n".join(["GET /healthz HTTP/1.1", "Host: here", *UPGRADE, "", ""]).encode()
    async with listening(service) as port:
        answer = await exchange(port, head, request(RED, "Connection: close"))
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"alive" in answer


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\n"])
async def test_a_head_without_end(service: Running, start: bytes) -> None:
    """An address, a header, or a list of headers that goes on for ever is refused at the limit."""
    more = b"X-More: 1\r\n" * 1000 if start.endswith(b"1\r\n") else b"y" * 10_000
    async with listening(service) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = asyncio.create_task(reader.readline())
        for piece in [start, *[more] * 20]:
            writer.write(piece)
            await asyncio.sleep(0.01)
            if answer.done():
                break
        writer.close()
    assert (await answer).startswith(b"HTTP/1.1 431 ")


async def test_a_large_head_is_taken(service: Running) -> None:
    """A head below the limit is no offence, in however many pieces it comes."""
    data = request(GREEN, *[f"X-{number}: {'y' * 1000}" for number in range(40)], "Connection: close")
    async with listening(service) as port:
        answer = await exchange(port, *[data[at : at + 9000] for at in range(0, len(data), 9000)])
    assert best_labels(answer) == ["green"]


@pytest.mark.parametrize(
    "data",
    [
        b"no request\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/classify HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
    ],
)
async def test_what_is_no_request_gets_a_problem_document(service: Running, data: bytes) -> None:
    """Bytes that are no HTTP, or that leave open where a body ends, are refused in the documented form."""
    async with listening(service) as port:
        head, _, body = (await exchange(port, data)).partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/problem+json" in head
    assert set(problem) == {"type", "title", "status", "detail", "code", "request_id"}
    assert (problem["status"], problem["code"]) == (400, "bad_request")


@pytest.mark.parametrize("data", [b"", b"\r\n", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\nGET"])
async def test_a_head_that_does_not_come(service: Running, data: bytes) -> None:
    """A connection that sends nothing, or half a head, is closed after a while."""
    async with listening(service, HastyProtocol) as port:
        answer = await exchange(port, data)
    assert answer.count(b"HTTP/1.1 200 OK") == data.count(b"healthz")


async def test_an_answer_is_waited_for_longer_than_a_head(service: Running) -> None:
    """The time for a head ends nothing that is still being answered, nor what waits behind it in part."""
    engine = service.engines["colours:2"]
    engine.hold()
    async with listening(service, HastyProtocol) as port:
        asked = asyncio.create_task(exchange(port, request(GREEN) + b"GET"))
        await asyncio.sleep(0.3)
        assert not asked.done()
        engine.let_go()
        assert best_labels(await asked) == ["green"]
