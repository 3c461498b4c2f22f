"""A channel to a service that runs in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from contract.proto.vitrail.v1 import vision_pb2
from tests.service.running import Running

_SERVICE = vision_pb2.DESCRIPTOR.services_by_name["VisionService"]


async def listen(service: Running) -> str:
    """Have the service listen on a free port, if it does not yet, and tell where."""
    if not service.application.grpc.port:
        await service.application.grpc.start("127.0.0.1:0")
    return f"127.0.0.1:{service.application.grpc.port}"


@asynccontextmanager
async def listening(service: Running) -> AsyncIterator[str]:
    """Where a service speaks gRPC, as long as it runs."""
    yield await listen(service)


@asynccontextmanager
async def open_channel(service: Running) -> AsyncIterator[grpc.aio.Channel]:
    """Have the service listen, and connect to it."""
    options = [("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(await listen(service), options) as channel:
        yield channel


def method(channel: grpc.aio.Channel, name: str) -> Any:
    """A call of VisionService by its name."""
    described = _SERVICE.methods_by_name[name]
    kind = channel.stream_stream if described.client_streaming else channel.unary_unary
    return kind(
        f"/{_SERVICE.full_name}/{name}",
        request_serializer=GetMessageClass(described.input_type).SerializeToString,
        response_deserializer=GetMessageClass(described.output_type).FromString,
    )
