"""What comes over a connection, byte by byte, where a client of HTTP would not let one say it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.api.rest.wire import BoundedProtocol, StreamProtocol
from tests.doubles import until
from tests.service.api.listening import listening as on_a_socket
from tests.service.running import BLUE, GREEN, RED, Running


class HastyProtocol(BoundedProtocol):
    """Waits a tenth of a second for a head."""

    head_timeout_s = 0.1


@asynccontextmanager
async def listening(service: Running, protocol: type[BoundedProtocol] = BoundedProtocol) -> AsyncIterator[int]:
    """The port of a listener that speaks to the service."""
    async with on_a_socket(service.application.asgi, protocol) as listener:
        yield listener.port


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


# --- streams


class HastyStream(StreamProtocol):
    """Waits a tenth of a second for the other side of a close."""

    close_timeout_s = linger_s = 0.1


HANDSHAKE = (
    "Host: here",
    "Connection: keep-alive, Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def handshake(*headers: str, start: str = "GET /v1/stream?task=classify HTTP/1.1") -> bytes:
    """A request that opens a stream, unless ``start`` says otherwise."""
    return "\r\n".join([start, *HANDSHAKE, *headers, "", ""]).encode()


def message(data: bytes, opcode: int = 2) -> bytes:
    """A short or medium WebSocket message, masked by zeros."""
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + bytes(4) + data


async def read_until(reader: asyncio.StreamReader, words: bytes) -> bytes:
    """What is sent up to these words, which are waited for for half a minute."""
    return await asyncio.wait_for(reader.readuntil(words), 30)


GOOD_BYE = message((1000).to_bytes(2, "big"), opcode=8)


@pytest.mark.parametrize("cut", [None, 10, -2])
async def test_a_handshake_opens_a_stream(service: Running, cut: int | None) -> None:
    """It is answered by 101 in however many pieces it comes, also after a request on the same connection."""
    pieces = [handshake()] if cut is None else [handshake()[:cut], handshake()[cut:]]
    async with on_a_socket(service.application.asgi) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(request(BLUE))
        first = await read_until(reader, b'"request_id"')
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.01)
        writer.write(GOOD_BYE)
        second = await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 101 Switching Protocols" in second


async def test_frames_may_follow_the_handshake_at_once(service: Running) -> None:
    """A frame in the same piece as the handshake is answered."""
    async with on_a_socket(service.application.asgi) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(handshake() + message(GREEN))
        answer = await read_until(reader, b'"timings_ms"')
        writer.close()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b'"label":"green"' in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (handshake(start="GET /v1/stream-2 HTTP/1.1"), b"404"),
        (handshake(start="GET / HTTP/1.1"), b"200"),
        (handshake(start="POST /v1/stream?task=classify HTTP/1.1"), b"404"),
        (handshake(start="GET /v1/stream HTTP/1.0"), b"404"),
        (handshake("Upgrade: h2c"), b"404"),
        (handshake("Content-Length: 2") + b"hi", b"404"),
        (handshake().replace(b", Upgrade", b""), b"404"),
        (handshake().replace(b"websocket", b"h2c"), b"404"),
    ],
)
async def test_all_other_wishes_are_passed_over(service: Running, data: bytes, status: bytes) -> None:
    """What is no handshake of a stream is answered as if nothing but HTTP had been asked for."""
    async with on_a_socket(service.application.asgi) as listener:
        answer = await exchange(listener.port, data, request(GREEN, "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b" 101 " not in answer


async def test_a_stream_waits_for_no_request(service: Running) -> None:
    """A handshake behind a request that is still being answered does not cut that answer off."""
    engine = service.engines["colours:2"]
    engine.hold()
    async with on_a_socket(service.application.asgi) as listener:
        asked = asyncio.create_task(
            exchange(listener.port, request(GREEN) + handshake(), request(RED, "Connection: close"))
        )
        await until(lambda: service.application.inference.in_flight == 1)
        engine.let_go()
        answer = await asked
    assert b" 101 " not in answer
    assert b'"label":"green"' in answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (handshake().replace(b": 13", b": 12"), b"400"),
        (handshake().replace(b"Sec-WebSocket-Key", b"Sec-WebSocket-Lock"), b"400"),
        (handshake(f"X: {'y' * 9000}"), b"431"),
        (handshake(*[f"X-{number}: 1" for number in range(200)]), b"431"),
        (handshake(f"X: {'y' * 200_000}"), b"431"),
    ],
)
async def test_a_handshake_that_is_none(service: Running, data: bytes, status: bytes) -> None:
    """One that the WebSocket library refuses, or whose head is too long, is answered and the connection closed."""
    async with on_a_socket(service.application.asgi) as listener:
        answer = await exchange(listener.port, data)
        await until(lambda: not listener.state.connections)
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_a_stream_outlives_the_time_for_a_head(service: Running) -> None:
    """The time within which a request must begin is no limit for a stream."""
    async with on_a_socket(service.application.asgi, HastyProtocol) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(handshake())
        await read_until(reader, b"\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.write(message(RED))
        assert b'"label":"red"' in await read_until(reader, b'"timings_ms"')
        writer.close()


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", message(b"\xff\xfe", opcode=1), b"GET / HTTP/1.1\r\n\r\n"])
async def test_what_is_no_message_ends_the_stream(service: Running, data: bytes) -> None:
    """Bytes that break the protocol, or a text that is none, close the connection after saying so."""
    async with on_a_socket(service.application.asgi, stream=HastyStream) as listener:
        answer = await exchange(listener.port, handshake(), data)
        await until(lambda: not listener.state.connections and not listener.state.tasks)
    assert answer.partition(b"\r\n\r\n")[2][:1] == b"\x88"


async def test_pings_whose_answers_nobody_reads_are_not_read(service: Running) -> None:
    """Who sends pings without end and reads nothing is stopped by TCP; no memory fills with pongs."""
    async with on_a_socket(service.application.asgi, stream=HastyStream) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, limit=200)
        writer.write(handshake())
        await reader.readline()
        (connection,) = listener.state.connections
        assert isinstance(connection, StreamProtocol)
        for _ in range(300):
            writer.write(message(bytes(125), opcode=9) * 1000)
        await until(lambda: not connection.writable.is_set())
        assert not connection.transport.is_reading()
        reading = asyncio.create_task(reader.read())
        await until(connection.writable.is_set)
        assert connection.transport.is_reading()
        writer.transport.abort()
        await asyncio.wait([reading])


async def test_half_a_frame_is_forgotten_with_its_connection(service: Running) -> None:
    """When a caller leaves in the midst of a frame, what had come of it is let go at once."""
    async with on_a_socket(service.application.asgi) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(handshake())
        await read_until(reader, b"\r\n\r\n")
        (connection,) = listener.state.connections
        assert isinstance(connection, StreamProtocol)
        writer.write(message(bytes(60_000))[:50_000])
        await until(lambda: len(connection.conn.reader.buffer) > 49_000)
        writer.transport.abort()
        await until(lambda: not listener.state.connections)
    assert len(connection.conn.reader.buffer) == 0


async def test_who_goes_on_sending_too_much_is_not_read_for_ever(service: Running) -> None:
    """After a frame that is too large the rest of it is thrown away for a moment; then the connection is closed."""
    async with on_a_socket(service.application.asgi, stream=HastyStream) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(handshake())
        await read_until(reader, b"\r\n\r\n")
        (connection,) = listener.state.connections
        assert isinstance(connection, StreamProtocol)
        writer.write(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + bytes(4))
        while listener.state.connections and not writer.is_closing():
            writer.write(bytes(10_000))
            await asyncio.sleep(0.001)
        writer.transport.abort()
    assert connection.conn.close_sent is not None
    assert connection.conn.close_sent.code == 1009
    assert connection.queue.qsize() <= 2


def send_then_read(port: int, data: bytes) -> bytes:
    """Open a stream, send all of the data before reading a byte, and give what is there to read then."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(handshake())
        connection.recv(65_536)
        connection.sendall(data)
        return connection.recv(65_536)


async def test_who_reads_only_after_sending_learns_why(service: Running) -> None:
    """The refusal of a frame that is too large reaches a caller who first sends all of it."""
    async with on_a_socket(service.application.asgi) as listener:
        frame = b"\x82\xff" + (8 << 20).to_bytes(8, "big") + bytes(4) + bytes(8 << 20)
        answer = await asyncio.to_thread(send_then_read, listener.port, frame)
    assert answer.startswith(b"\x88")
    assert int.from_bytes(answer[2:4], "big") == 1009


async def test_the_time_of_a_request_runs_from_its_first_byte(service: Running) -> None:
    """What a slow caller takes to send its head is a part of the stage fetch, and of the whole."""
    whole = request(RED, "Connection: close")
    async with listening(service) as port:
        answer = await exchange(port, *(whole[at : at + 20] for at in range(0, 100, 20)), whole[100:])
    timings = json.loads(answer.split(b"\r\n\r\n", 1)[1])["timings_ms"]
    assert timings["fetch"] >= 50
    assert timings["total"] >= timings["fetch"]
