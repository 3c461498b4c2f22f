"""``StreamFrames`` over a real channel."""

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import pytest

from contract.proto.vitrail.v1 import vision_pb2
from contract.task import Task
from service.api.grpc.frames import WINDOW
from service.errors import ErrorKind
from tests.doubles import settle, until
from tests.service.api.grpc.channel import method, open_channel
from tests.service.running import Running, picture, running

RED = picture(200, 40, 40)
START = vision_pb2.StreamFramesRequest(start={"classify": {"top_k": 1}})


def frames(*images: bytes) -> list[vision_pb2.StreamFramesRequest]:
    """Images as frames, numbered."""
    return [vision_pb2.StreamFramesRequest(frame={"image": image, "id": id_}) for id_, image in enumerate(images)]


async def stream(channel: grpc.aio.Channel, requests: Iterable[Any]) -> list[vision_pb2.StreamFramesResponse]:
    """All answers to some requests."""
    return [answer async for answer in method(channel, "StreamFrames")(iter(requests))]


async def failure(channel: grpc.aio.Channel, requests: Iterable[Any]) -> grpc.aio.AioRpcError:
    """The error by which a stream ends."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream(channel, requests)
    return caught.value


async def test_answers_come_in_the_order_of_the_frames(channel: grpc.aio.Channel) -> None:
    """Every frame gets its answer, with the id that it came with."""
    colours = [RED, picture(40, 200, 40), picture(40, 40, 200)] * 4
    answers = await stream(channel, [START, *frames(*colours)])
    assert [answer.id for answer in answers] == list(range(12))
    assert [answer.classify.classes[0].label for answer in answers] == ["red", "green", "blue"] * 4
    assert {answer.model.name for answer in answers} == {"colours"}


async def test_a_bad_frame_does_not_end_the_stream(channel: grpc.aio.Channel) -> None:
    """A frame that is no image gets an error, the next one its answer."""
    bad, good = await stream(channel, [START, *frames(b"no image", RED)])
    assert (bad.error.code, bad.WhichOneof("answer")) == ("invalid_image", "error")
    assert good.classify.classes[0].label == "red"


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        (frames(RED), grpc.StatusCode.INVALID_ARGUMENT),
        ([vision_pb2.StreamFramesRequest(start={"model": "colours"})], grpc.StatusCode.INVALID_ARGUMENT),
        (
            [vision_pb2.StreamFramesRequest(start={"classify": {"score_threshold": 3}})],
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
        ([vision_pb2.StreamFramesRequest(start={"model": "nobody", "detect": {}})], grpc.StatusCode.NOT_FOUND),
        ([START, START], grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
async def test_streams_that_make_no_sense(channel: grpc.aio.Channel, requests: Any, code: grpc.StatusCode) -> None:
    """A stream that could never be answered ends at once, by its own status."""
    assert (await failure(channel, requests)).code() is code


async def test_the_streams_id(channel: grpc.aio.Channel) -> None:
    """A stream says its id before its first answer."""
    call = method(channel, "StreamFrames")(metadata=(("x-request-id", "mine"),))
    await call.write(START)
    assert dict(await call.initial_metadata())["x-request-id"] == "mine"
    call.cancel()


async def test_an_empty_stream(channel: grpc.aio.Channel) -> None:
    """A stream without a message ends well."""
    assert await stream(channel, []) == []


async def test_reading_stops_with_the_window(service: Running, channel: grpc.aio.Channel) -> None:
    """No more frames are taken than the window holds, however many a caller sends."""
    held = service.engines["colours:2"]
    held.hold()
    call = method(channel, "StreamFrames")()
    await call.write(START)
    for frame in frames(*[RED] * 20):
        await call.write(frame)
    await until(lambda: service.application.inference.in_flight == WINDOW)
    await settle()
    assert service.application.inference.in_flight == WINDOW
    held.let_go()
    await call.done_writing()
    assert [answer.id async for answer in call] == list(range(20))


async def test_a_caller_who_leaves(service: Running, channel: grpc.aio.Channel) -> None:
    """A cancelled stream ends the work for its frames, and each is counted as cancelled."""
    held = service.engines["colours:2"]
    held.hold()
    call = method(channel, "StreamFrames")()
    for message in (START, *frames(RED, RED)):
        await call.write(message)
    await until(lambda: held.arrived)
    call.cancel()
    await until(lambda: service.application.inference.in_flight == 0)
    assert call.cancelled()
    labels = {"task": "classify", "reason": "cancelled", "transport": "grpc"}
    count = service.application.telemetry.registry.get_sample_value
    # The two frames, and the call itself.
    await until(lambda: count("vitrail_rejections_total", labels) == 3)


async def test_a_caller_who_does_not_read(tiny_repository: Any) -> None:
    """A stream whose answers are not read lets go of its frames after a while; who reads at last learns why."""
    async with running(tiny_repository, body_timeout_s=0.3) as service, open_channel(service) as channel:
        call = method(channel, "StreamFrames")()
        await call.write(vision_pb2.StreamFramesRequest(start={"depth": {"encoding": vision_pb2.MAP_ENCODING_NPY}}))
        for frame in frames(*[picture(width=1200, height=1200)] * 20):
            await call.write(frame)
        labels = (Task.DEPTH, ErrorKind.DEADLINE_EXCEEDED, "grpc")
        refusals = service.application.telemetry.rejections.labels(*labels)
        await until(lambda: refusals._value.get() == 1)
        assert service.application.inference.in_flight == 0
        read = [answer async for answer in _until_the_end(call)]
        assert len(read) < 20
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def _until_the_end(call: Any) -> AsyncIterator[Any]:
    try:
        async for answer in call:
            yield answer
    except grpc.aio.AioRpcError:
        return


async def test_a_caller_has_so_many_streams(tiny_repository: Path) -> None:
    """One stream more than a caller may have is refused, and may come once another has ended."""
    async with running(tiny_repository, max_frame_streams_per_caller=1) as service, open_channel(service) as channel:
        first = method(channel, "StreamFrames")()
        await first.write(START)
        await first.initial_metadata()
        await until(lambda: service.application.places.taken == 1)
        refused = await failure(channel, [START, *frames(RED)])
        await first.done_writing()
        await until(lambda: service.application.places.taken == 0)
        (answer,) = await stream(channel, [START, *frames(RED)])
    assert (refused.code(), answer.WhichOneof("answer")) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "classify")
