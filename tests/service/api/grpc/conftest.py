"""The service's gRPC port, and ways to call it."""

from collections.abc import AsyncIterator

import grpc
import pytest
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2_grpc

from tests.service.api.grpc.channel import listen
from tests.service.running import Running


@pytest.fixture
async def address(service: Running) -> str:
    """Where the service speaks gRPC."""
    return await listen(service)


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the service."""
    async with grpc.aio.insecure_channel(address, [("grpc.max_receive_message_length", -1)]) as channel:
        yield channel


@pytest.fixture
async def client(address: str) -> AsyncIterator[triton_aio.InferenceServerClient]:
    """Triton's own client for asyncio."""
    async with triton_aio.InferenceServerClient(address) as client:
        yield client


@pytest.fixture
async def stub(channel: grpc.aio.Channel) -> service_pb2_grpc.GRPCInferenceServiceStub:
    """The Open Inference Protocol without a client's comforts."""
    return service_pb2_grpc.GRPCInferenceServiceStub(channel)
