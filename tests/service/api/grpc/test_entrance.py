"""Over gRPC nobody gets in who may not, whatever the call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from tritonclient.grpc import service_pb2

from contract.proto.vitrail.v1 import vision_pb2
from service.api.grpc.entrance import OPEN
from tests.doubles import until
from tests.service.api.grpc.channel import method, open_channel
from tests.service.keyed import Keys, write_keys
from tests.service.running import RED, running

METHODS = [
    f"/{service.full_name}/{name}"
    for described in (vision_pb2, service_pb2, health_pb2, reflection_pb2)
    for service in described.DESCRIPTOR.services_by_name.values()
    for name in service.methods_by_name
]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Some keys; alice may ask three times."""
    return write_keys(tmp_path, rate="3/hour")


@pytest.fixture
async def channel(tiny_repository: Path, keys: Keys) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a service that asks for keys."""
    async with running(tiny_repository, keys_file=keys.file) as service, open_channel(service) as channel:
        yield channel


async def status(channel: grpc.aio.Channel, path: str, *metadata: tuple[str, str]) -> grpc.StatusCode:
    """How a call with an empty message ends; OK where it goes on."""
    call = channel.stream_stream(path)(metadata=metadata, timeout=10)
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # it may be over before it has begun
        await call.write(b"")
        await call.done_writing()
    with suppress(grpc.aio.AioRpcError):
        async for _ in call:
            if path.endswith("/Watch"):
                call.cancel()
                break
    found = await call.code()
    assert isinstance(found, grpc.StatusCode)
    return found


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer vk_wrong"),), (("x-api-key", "wrong"),)], ids=str)
async def test_every_call_asks_for_a_key(
    channel: grpc.aio.Channel, keys: Keys, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Of all calls that there are, nothing but health answers without a key, or with a wrong one."""
    assert len(METHODS) > 30
    for path in METHODS:
        refused = await status(channel, path, *metadata) is grpc.StatusCode.UNAUTHENTICATED
        assert refused is not (path in OPEN), path


async def test_a_key_opens_every_call(channel: grpc.aio.Channel, keys: Keys) -> None:
    """With a key no call says that it does not know who asks; the key of the metrics opens none."""
    for path in METHODS:
        found = await status(channel, path, ("authorization", f"Bearer {keys.bob}"))
        assert found not in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED), path
    for path in METHODS[:2]:
        assert await status(channel, path, ("x-api-key", keys.prometheus)) is grpc.StatusCode.PERMISSION_DENIED


async def test_who_administers_asks_no_models(channel: grpc.aio.Channel, keys: Keys) -> None:
    """The scope admin alone reads what is served; no image, frame or tensor of it reaches a model."""
    for path in METHODS:
        found = await status(channel, path, ("x-api-key", keys.warden))
        asks = "VisionService" in path or path.endswith(("ModelInfer", "ModelStreamInfer"))
        assert (found is grpc.StatusCode.PERMISSION_DENIED) is asks, path


async def test_who_has_no_key_takes_no_place_of_those_who_have(tiny_repository: Path, keys: Keys) -> None:
    """However many watch the health without a key, calls with one find room; probes go on to be answered."""
    async with (
        running(tiny_repository, keys_file=keys.file, max_grpc_calls=4) as service,
        open_channel(service) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watching = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(8)]
        with suppress(grpc.aio.AioRpcError):
            await asyncio.gather(*(call.read() for call in watching))
        await stub.Check(health_pb2.HealthCheckRequest())
        answer = await method(channel, "Classify")(
            vision_pb2.ClassifyRequest(images=[RED]), metadata=(("x-api-key", keys.bob),)
        )
        assert len(answer.results) == 1


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_message_beyond_the_limit(
    tiny_repository: Path, keys: Keys, compression: grpc.Compression, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that is too large, also once it is unpacked, is counted as that, and is no mistake of the service's."""
    settings = {"keys_file": keys.file, "max_body_bytes": 1000, "videos": keys.file.with_name("videos")}
    async with (
        running(tiny_repository, **settings) as service,
        open_channel(service) as it,
    ):
        large = vision_pb2.ClassifyRequest(images=[bytes(1 << 20)])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await method(it, "Classify")(large, compression=compression, metadata=(("x-api-key", keys.bob),))
        reasons = {"task": "", "reason": "too_large", "transport": "grpc"}
        registry = service.application.telemetry.registry
        await until(lambda: registry.get_sample_value("vitrail_rejections_total", reasons) == 1)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_call_counts_before_its_message_comes(tiny_repository: Path, tmp_path: Path) -> None:
    """Calls that are begun and say nothing are under way: beyond a caller's own number they are refused."""
    keys = write_keys(tmp_path, concurrency=2)
    async with (
        running(tiny_repository, keys_file=keys.file, max_grpc_calls=8) as service,
        open_channel(service) as channel,
    ):
        silent = [
            channel.stream_stream("/vitrail.v1.VisionService/Classify")(metadata=(("x-api-key", keys.alice),))
            for _ in range(8)
        ]
        over = [asyncio.create_task(call.code()) for call in silent]
        await until(lambda: sum(one.done() for one in over) == 6)
        answer = await method(channel, "Classify")(
            vision_pb2.ClassifyRequest(images=[RED]), metadata=(("x-api-key", keys.bob),)
        )
        assert len(answer.results) == 1
        for call in silent:
            call.cancel()
        await asyncio.gather(*over, return_exceptions=True)


async def test_calls_answer_and_count(channel: grpc.aio.Channel, keys: Keys) -> None:
    """An image, a stream and a third call are answered; the fourth is one too many, and says when to come back."""
    metadata = (("x-api-key", keys.alice),)
    request = vision_pb2.ClassifyRequest(images=[RED])
    answer = await method(channel, "Classify")(request, metadata=metadata)
    assert len(answer.results) == 1
    stream = method(channel, "StreamFrames")(metadata=metadata)
    start = vision_pb2.StreamStart(classify=vision_pb2.ClassifyParameters())
    await stream.write(vision_pb2.StreamFramesRequest(start=start))
    await stream.write(vision_pb2.StreamFramesRequest(frame=vision_pb2.Frame(id=1, image=RED)))
    assert (await stream.read()).id == 1
    stream.cancel()
    await method(channel, "Classify")(request, metadata=metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await method(channel, "Classify")(request, metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "3 times" in str(caught.value.details())
