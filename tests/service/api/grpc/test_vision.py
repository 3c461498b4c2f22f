"""``vitrail.v1.VisionService`` over a real channel."""

import asyncio
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from contract.proto.vitrail.v1 import vision_pb2
from service.api.grpc.vision import SERVICE
from tests.doubles import until
from tests.service.api.grpc.channel import method
from tests.service.running import Running, picture

RED = picture(200, 40, 40)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    """The error by which a call ends."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def reason(error: grpc.aio.AioRpcError) -> str:
    """The kind of error, as google.rpc.ErrorInfo has it."""
    trailing = dict(error.trailing_metadata())
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details[0].Unpack(info)
    return info.reason


async def test_classify(channel: grpc.aio.Channel) -> None:
    """A call gives the classes, the version that answered, the times and the request's id."""
    request = vision_pb2.ClassifyRequest(images=[RED], parameters={"top_k": 1})
    response = await method(channel, "Classify")(request, metadata=(("x-request-id", "mine"),))
    assert [found.label for found in response.results[0].classes] == ["red"]
    assert (response.model.name, response.model.version, response.model.alias) == ("colours", "2", "stable")
    assert response.request_id == "mine"
    assert 0 < response.timings_ms.compute < response.timings_ms.total


async def test_several_images(channel: grpc.aio.Channel) -> None:
    """Several images give one result each, in their order."""
    images = [RED, picture(40, 200, 40), picture(40, 40, 200)]
    response = await method(channel, "Classify")(vision_pb2.ClassifyRequest(images=images))
    assert [result.classes[0].label for result in response.results] == ["red", "green", "blue"]


async def test_trailing_metadata(channel: grpc.aio.Channel) -> None:
    """The request's id and the time of each stage come as metadata too."""
    call = method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED]))
    trailing = dict(await call.trailing_metadata())
    assert trailing["x-request-id"] == (await call).request_id
    assert "compute;dur=" in trailing["server-timing"]


@pytest.mark.parametrize(
    ("request_", "code", "kind"),
    [
        ({"images": [b"no image"]}, grpc.StatusCode.INVALID_ARGUMENT, "invalid_image"),
        ({"images": []}, grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameters"),
        (
            {"images": [RED], "parameters": {"score_threshold": 2.0}},
            grpc.StatusCode.INVALID_ARGUMENT,
            "invalid_parameters",
        ),
        ({"images": [RED], "model": "nobody"}, grpc.StatusCode.NOT_FOUND, "model_not_found"),
        ({"images": [RED], "model": "No Name"}, grpc.StatusCode.INVALID_ARGUMENT, "invalid_parameters"),
        ({"images": [RED] * 65}, grpc.StatusCode.RESOURCE_EXHAUSTED, "too_large"),
    ],
)
async def test_errors(channel: grpc.aio.Channel, request_: dict[str, Any], code: grpc.StatusCode, kind: str) -> None:
    """A request that makes no sense is refused by the status of its kind, with the reason and the request's id."""
    error = await failure(method(channel, "Classify")(vision_pb2.ClassifyRequest(**request_)))
    assert (error.code(), reason(error)) == (code, kind)
    assert dict(error.trailing_metadata())["x-request-id"]


async def test_picture(channel: grpc.aio.Channel) -> None:
    """The answer comes drawn on its image, if that is asked for."""
    request = vision_pb2.DetectRequest(images=[RED], picture=vision_pb2.PICTURE_PNG)
    response = await method(channel, "Detect")(request)
    assert response.picture.startswith(b"\x89PNG")


async def test_picture_of_two(channel: grpc.aio.Channel) -> None:
    """A picture of two images is refused."""
    request = vision_pb2.DetectRequest(images=[RED, RED], picture=vision_pb2.PICTURE_PNG)
    assert "one image only" in (await failure(method(channel, "Detect")(request))).details()


async def test_too_large(service: Running, channel: grpc.aio.Channel) -> None:
    """A message over the limit is RESOURCE_EXHAUSTED, and the channel goes on."""
    large = bytes(service.application.settings.max_body_bytes + 100_000)
    error = await failure(method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[large])))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED]))).results


async def test_deadline(service: Running, channel: grpc.aio.Channel) -> None:
    """A call whose deadline passes ends as DEADLINE_EXCEEDED, and leaves nothing behind."""
    held = service.engines["colours:2"]
    held.hold()
    error = await failure(method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED]), timeout=0.2))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: service.application.inference.in_flight == 0)


async def test_cancelled(service: Running, channel: grpc.aio.Channel) -> None:
    """A caller who leaves ends the work for the call."""
    held = service.engines["colours:2"]
    held.hold()
    call = method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED]))
    await until(lambda: held.arrived)
    call.cancel()
    await until(lambda: service.application.inference.in_flight == 0)
    assert "CANCELLED" in service.application.telemetry.exposition()[0].decode()


async def test_unforeseen_error(service: Running, channel: grpc.aio.Channel) -> None:
    """What nobody foresaw is INTERNAL; its caller learns the request's id and nothing of the inside."""
    service.application.registry.resolve = None  # type: ignore[method-assign,assignment]
    error = await failure(method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED])))
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "NoneType" not in error.details()


async def test_gone_with_the_service(service: Running, channel: grpc.aio.Channel) -> None:
    """A call under way when the server stops is answered; later ones are refused."""
    held = service.engines["colours:2"]
    held.hold()
    call = method(channel, "Classify")(vision_pb2.ClassifyRequest(images=[RED]))
    await until(lambda: held.arrived)
    stopping = asyncio.create_task(service.application.grpc.stop(30))
    held.let_go()
    assert (await call).results
    await stopping
    assert (await failure(method(channel, "Classify")(vision_pb2.ClassifyRequest()))).code() is (
        grpc.StatusCode.UNAVAILABLE
    )


def test_every_call_of_the_service_is_answered() -> None:
    """Each method of the interface has a handler, and each handler a method."""
    methods = vision_pb2.DESCRIPTOR.services_by_name["VisionService"].methods_by_name
    assert vision_pb2.DESCRIPTOR.services_by_name["VisionService"].full_name == SERVICE
    assert set(methods) >= {"Classify", "StreamFrames"}


async def test_a_picture_that_nobody_draws(service: Running, channel: grpc.aio.Channel) -> None:
    """A kind of picture that this interface does not know is refused before the model is asked."""
    asked = service.engines["middle:1"]
    asked.hold()
    request = vision_pb2.DetectRequest(images=[RED])
    request.MergeFromString(b"\x20\x63")
    error = await failure(method(channel, "Detect")(request, timeout=20))
    assert (reason(error), asked.arrived) == ("invalid_parameters", 0)
