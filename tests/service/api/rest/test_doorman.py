"""Requests that come while there is no room are turned away before anything of them is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.doubles import until
from tests.service.api.listening import listening
from tests.service.running import RED, Running, running


@asynccontextmanager
async def full(repository: Path) -> AsyncIterator[tuple[Running, int]]:
    """A service without a permit left, and the port at which it listens."""
    async with running(repository, max_images_in_flight=1) as service, listening(service.application.asgi) as listener:
        engine = service.engines["colours:2"]
        engine.hold()
        busy = asyncio.create_task(service.ask("/v1/classify", RED))
        await until(lambda: engine.arrived)
        yield service, listener.port
        engine.let_go()
        assert (await busy).status_code == 200


def head(length: int) -> bytes:
    """A request whose body is said to be so long, and does not come."""
    return (
        f"POST /v1/classify HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: {length}\r\n\r\n".encode()
    )


@pytest.mark.parametrize(("length", "closes"), [(100, False), (5_000_000, True)])
async def test_a_request_is_refused_by_its_head(tiny_repository: Path, length: int, closes: bool) -> None:
    """Before a byte of the body has come the answer is 429; only a long one costs the connection."""
    async with full(tiny_repository) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(length))
        told = (await reader.readuntil(b"\r\n\r\n")).lower()
        writer.close()
    assert told.startswith(b"http/1.1 429")
    assert b"retry-after: 1" in told
    assert (b"connection: close" in told) is closes


async def test_the_connection_of_a_refused_request_goes_on(tiny_repository: Path) -> None:
    """A short body that comes after the refusal is passed over, and the next request of the connection is answered."""
    async with full(tiny_repository) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head(len(RED)))
        await reader.readuntil(b"}")
        writer.write(RED + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await reader.readuntil(b"alive")).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_refusal_is_counted(tiny_repository: Path) -> None:
    """The metrics tell of it as of any other refusal, with the task and the reason."""
    async with full(tiny_repository) as (service, _):
        answer = await service.ask("/v1/classify", RED)
    labels = {"task": "classify", "reason": "overloaded", "transport": "rest"}
    assert service.application.telemetry.registry.get_sample_value("vitrail_rejections_total", labels) == 1
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
