"""The gRPC server itself: limits, health, reflection, its end."""

import asyncio
import resource
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from contract.proto.vitrail.v1 import vision_pb2
from service.api.grpc.server import AddressTaken
from tests.doubles import until
from tests.service.api.grpc.channel import listen, method, open_channel
from tests.service.running import Running, picture, running

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health(channel: grpc.aio.Channel, name: str = "") -> int:
    """The status of one service, or of the server."""
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    return int(answer.status)


@pytest.mark.parametrize("name", ["", "vitrail.v1.VisionService", "inference.GRPCInferenceService"])
async def test_healthy_when_ready(channel: grpc.aio.Channel, name: str) -> None:
    """The server and each of its services are SERVING once models are ready."""
    watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=name))
    while (await watched.read()).status != SERVING:
        pass
    assert await health(channel, name) == SERVING


async def test_not_healthy_while_draining(service: Running, channel: grpc.aio.Channel) -> None:
    """Those who watch hear that the service takes no more."""
    watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    while (await watched.read()).status != SERVING:
        pass
    service.application.draining = True
    assert (await watched.read()).status == NOT_SERVING


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """400 descriptors, of which gRPC has 50."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, before[1]))
    yield 50
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_connections_that_say_nothing_are_bounded(few_descriptors: int, tiny_repository: Path) -> None:
    """Beyond an eighth of the descriptors a connection is closed at once, so some are left for everything else."""
    async with running(tiny_repository, wait=False) as service:
        host, port = (await listen(service)).split(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(few_descriptors + 10)]
        over = [asyncio.create_task(reader.read()) for reader, _ in opened]
        await until(lambda: sum(one.done() for one in over) >= 10)
        assert sum(one.done() for one in over) == 10
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*over, return_exceptions=True)


async def test_who_watches_and_reads_nothing_holds_nobody_up(service: Running) -> None:
    """A caller whose window is shut keeps neither others from hearing of the end, nor the service from ending."""
    host, port = (await listen(service)).split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(_watch_with_a_shut_window())
    while (kind := await _frame(reader)) != _HEADERS:
        if kind == _SETTINGS:
            writer.write(_framed(_SETTINGS, _ACK, 0, b""))
    async with open_channel(service) as channel, asyncio.timeout(10):
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        while (await watched.read()).status != SERVING:
            pass
        service.application.draining = True
        assert (await watched.read()).status == NOT_SERVING
        await service.application.grpc.stop(0.1)
    writer.close()


_HEADERS, _SETTINGS, _ACK = 1, 4, 1


def _framed(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    return len(content).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + content


def _watch_with_a_shut_window() -> bytes:
    """The beginning of a connection of HTTP/2 (RFC 9113) on which the server may send no data, and a call of Watch."""
    told = {
        ":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Watch", ":authority": "x",
        "content-type": "application/grpc", "te": "trailers",
    }  # fmt: skip
    head = b"".join(bytes([0, len(name)]) + name.encode() + bytes([len(it)]) + it.encode() for name, it in told.items())
    initial_window = (4).to_bytes(2) + (0).to_bytes(4)
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _framed(_SETTINGS, 0, 0, initial_window)
        + _framed(_HEADERS, 4, 1, head)
        + _framed(0, 1, 1, bytes(5))
    )


async def _frame(reader: asyncio.StreamReader) -> int:
    """The kind of the next one; -1 for one that only acknowledges."""
    head = await reader.readexactly(9)
    await reader.readexactly(int.from_bytes(head[:3]))
    return -1 if head[3] == _SETTINGS and head[4] & _ACK else head[3]


async def test_not_healthy_without_models(tmp_path: "object") -> None:
    """Without a model the service is not SERVING."""
    async with running(tmp_path) as service, open_channel(service) as channel:  # type: ignore[arg-type]
        await until(lambda: service.application.registry.settled)
        assert await health(channel) == NOT_SERVING


async def test_reflection(channel: grpc.aio.Channel) -> None:
    """Tools learn the services and their messages from the server."""
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="vitrail.v1.VisionService"),
    ]
    services, files = [answer async for answer in stub.ServerReflectionInfo(iter(asked))]
    assert {found.name for found in services.list_services_response.service} >= {
        "vitrail.v1.VisionService",
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
    }
    assert vision_pb2.DESCRIPTOR.serialized_pb in files.file_descriptor_response.file_descriptor_proto


async def test_a_port_that_is_taken(service: Running, channel: grpc.aio.Channel, tiny_repository: object) -> None:
    """Nobody listens where somebody does already, and it is said."""
    del channel
    async with running(tiny_repository, wait=False) as other:  # type: ignore[arg-type]
        with pytest.raises(AddressTaken, match=f"127.0.0.1:{service.application.grpc.port}"):
            await other.application.grpc.start(f"127.0.0.1:{service.application.grpc.port}")


async def test_a_message_that_grows(service: Running) -> None:
    """A small compressed message that would become larger than the limit is refused."""
    async with open_channel(service) as channel:
        large = vision_pb2.ClassifyRequest(images=[bytes(service.application.settings.max_body_bytes + 100_000)])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(channel, "Classify")(large, compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_compressed_message(channel: grpc.aio.Channel) -> None:
    """A caller may compress what it sends."""
    request = vision_pb2.ClassifyRequest(images=[picture(200, 40, 40)])
    response = await method(channel, "Classify")(request, compression=grpc.Compression.Gzip)
    assert response.results[0].classes[0].label == "red"
