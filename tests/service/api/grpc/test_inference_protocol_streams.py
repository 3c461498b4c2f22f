"""``ModelStreamInfer``: one answer for each request, in order, and no faster than either side goes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from service.api.grpc.tensor_calls import WINDOW
from tests.doubles import until
from tests.service.api.grpc.channel import listening
from tests.service.api.grpc.test_inference_protocol import (
    PRIMARIES,
    SHAPE,
    Client,
    Stub,
    images_input,
    refusal,
    request,
)
from tests.service.running import Running, running

ONE = PRIMARIES[:1]
LARGE = request(np.zeros((32, *SHAPE), np.uint8), "double")
"""6 kB, whose answer is 24 kB."""


async def stream_of(messages: Iterable[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Requests as Triton's client wants them."""
    for message in messages:
        yield {"model_name": "colours", "inputs": [images_input(ONE)]} | message


async def write_all(call: Any, messages: Iterable[Any]) -> None:
    """Send messages as fast as they are taken."""
    for message in messages:
        await call.write(message)


async def all_of(answers: AsyncIterator[Any]) -> list[Any]:
    """All answers of a stream."""
    return [answer async for answer in answers]


def taken(service: Running) -> float:
    """How many large requests were read, be they answered or refused."""
    telemetry = service.application.telemetry
    answered = telemetry.requests.labels("restore", "double", "1", "stable", "OK", "grpc")
    return answered._value.get() + telemetry.rejections.labels("restore", "overloaded", "grpc")._value.get()


async def served_meanwhile(channel: grpc.aio.Channel, calls: int) -> None:
    """Make so many other calls, one after the other."""
    for _ in range(calls):
        await Stub(channel).ModelInfer(request(ONE))


async def test_answers_come_in_order(client: Client) -> None:
    """Of requests to several models each has one answer, in their order, marked as its last."""
    messages = [{"model_name": ("colours", "double", "means")[i % 3], "request_id": str(i)} for i in range(40)]
    answers = await all_of(client.stream_infer(stream_of(messages)))
    responses = [result.get_response() for result, error in answers if error is None]
    assert [response.id for response in responses] == [str(i) for i in range(40)]
    assert all(response.parameters["triton_final_response"].bool_param for response in responses)


async def test_answers_equal_those_of_single_calls(stub: Stub) -> None:
    """A stream's answer is the single call's, but for the mark; there is none beyond it for those who ask for one."""
    message = request()
    message.parameters["triton_enable_empty_final_response"].bool_param = True
    call = stub.ModelStreamInfer(iter([message, message]))
    answers = [answer.infer_response async for answer in call]
    for answer in answers:
        del answer.parameters["triton_final_response"]
    assert answers == [await stub.ModelInfer(message)] * 2


async def test_an_error_is_an_answer(service: Running, client: Client) -> None:
    """A request that makes no sense has its error as its answer, and the stream goes on; it is counted."""
    faults = [{}, {"model_name": "absent"}, {"inputs": [images_input(PRIMARIES[:, :4])]}, {"sequence_id": 5}, {}]
    messages = [fault | {"request_id": str(i)} for i, fault in enumerate(faults)]
    answers = await all_of(client.stream_infer(stream_of(messages)))
    words = ["", "there is no model 'absent'", "must be of shape [-1, 8, 8, 3]", "sequence_id", ""]
    for (result, error), expected in zip(answers, words, strict=True):
        assert (error is None) == (not expected)
        assert result is None or result.as_numpy("probabilities").argmax() == 0
        assert expected in str(error)
    text = (await service.client.get("/metrics")).text
    assert 'vitrail_requests_total{alias="",code="NOT_FOUND",model="",task="",transport="grpc",version=""} 1.0' in text


async def test_an_error_says_of_which_request_it_is(stub: Stub) -> None:
    """An error in a stream has its request's id."""
    call = stub.ModelStreamInfer(iter([request(model="absent", id="seven")]))
    (answer,) = await all_of(call)
    assert answer.error_message.startswith("there is no model")
    assert (answer.infer_response.id, answer.infer_response.model_name) == ("seven", "absent")


async def test_a_request_may_be_late_alone(service: Running, client: Client) -> None:
    """One request's own time-out is its own error; those of other models are answered."""
    service.engines["colours:2"].hold()
    messages = [{"timeout": 20_000}, {"model_name": "means"}]
    (_, late), (result, _) = await all_of(client.stream_infer(stream_of(messages)))
    assert "deadline passed" in str(late)
    assert result.as_numpy("embedding").shape == (1, 3)


async def test_no_more_is_read_than_is_worked_on(service: Running, stub: Stub) -> None:
    """While the window is full nothing more is taken in; then all is answered."""
    held = service.engines["colours:2"]
    held.hold()
    call = stub.ModelStreamInfer()
    await write_all(call, [request(ONE)] * (3 * WINDOW))
    await call.done_writing()
    await until(lambda: service.application.inference.in_flight == WINDOW)
    # Another call goes there and back: what is in the service's hands by then is what it has read.
    await stub.ModelInfer(request(ONE, "means"))
    assert service.application.inference.in_flight == WINDOW
    held.let_go()
    assert len(await all_of(call)) == 3 * WINDOW


async def test_who_reads_nothing_is_read_no_more(tiny_repository: Path) -> None:
    """A caller who sends on and reads no answer is answered until the pipes are full, and then waits."""
    many = 2000
    async with (
        running(tiny_repository, max_images_in_flight=1000, adaptive_limit=False) as service,
        listening(service) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call = Stub(channel).ModelStreamInfer()
        writing = asyncio.create_task(write_all(call, [LARGE] * many))
        await until(lambda: taken(service) > WINDOW)
        # Others are served meanwhile, often enough for the stream to have come to its end were it not stopped.
        await served_meanwhile(channel, many // 4)
        before = taken(service)
        await served_meanwhile(channel, many // 4)
        assert before == taken(service) < many / 4
        call.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def test_who_reads_nothing_for_long_is_left(tiny_repository: Path) -> None:
    """A stream whose answers nobody takes ends, and what it held is free."""
    async with (
        running(tiny_repository, max_images_in_flight=1000, adaptive_limit=False, body_timeout_s=0.2) as service,
        listening(service) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        call = Stub(channel).ModelStreamInfer()
        writing = asyncio.create_task(write_all(call, [LARGE] * 2000))
        rejections = service.application.telemetry.rejections.labels("", "deadline_exceeded", "grpc")._value
        await until(lambda: rejections.get() == 1)
        assert service.application.inference.in_flight == 0
        status, _ = await refusal(all_of(call))
        await asyncio.gather(writing, return_exceptions=True)
    assert status == "DEADLINE_EXCEEDED"


async def test_a_cancelled_stream_frees_everything(service: Running, stub: Stub) -> None:
    """Who cancels a stream takes back all its requests, and their permits; it is counted once."""
    service.engines["colours:2"].hold()
    call = stub.ModelStreamInfer()
    await write_all(call, [request()] * WINDOW)
    await until(lambda: service.application.inference.in_flight == 3 * WINDOW)
    call.cancel()
    await until(lambda: service.application.inference.in_flight == 0)
    text = (await service.client.get("/metrics")).text
    assert 'vitrail_rejections_total{reason="cancelled",task="",transport="grpc"} 1.0' in text
    assert service.engines["colours:2"].computed == 0


async def test_a_streams_deadline_ends_it(service: Running, client: Client) -> None:
    """The time given to a stream as a whole ends it, and what it had under way."""
    service.engines["colours:2"].hold()
    call = client.stream_infer(stream_of([{}]), stream_timeout=0.1)
    assert (await refusal(all_of(call)))[0] == "DEADLINE_EXCEEDED"
    await until(lambda: service.application.inference.in_flight == 0)


async def test_what_is_no_message_is_an_error_in_the_stream(address: str) -> None:
    """Bytes that are no request are told of where an answer would stand."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")(iter([b"\xff\xff"]))
        (answer,) = [service_pb2.ModelStreamInferResponse.FromString(data) async for data in call]
    assert "no ModelInferRequest" in answer.error_message
