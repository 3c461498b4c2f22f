"""What a real Triton says, and what is made of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from contract.repository import Repository
from service.engines.triton.channel import TritonChannel
from service.engines.triton.errors import SURELY_NOT_EXECUTED, Cause, Failure, showable
from service.errors import ErrorKind
from tests.service.engines.triton.conftest import Control, open_version, pool_over
from tests.tiny_models import SIDE
from tests.triton_server import TritonServer


def request_for(model: str = "colours", version: str = "1", width: int = SIDE, images: int = 1) -> Any:
    """A request of black images."""
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    request.inputs.add(name="images", datatype="UINT8", shape=(images, SIDE, width, 3))
    request.raw_input_contents.append(bytes(images * SIDE * width * 3))
    return request


@asynccontextmanager
async def channel_to(address: str) -> AsyncIterator[TritonChannel]:
    """Connections that are closed again."""
    channel = TritonChannel(address)
    try:
        yield channel
    finally:
        await channel.close()


async def cause_of(channel: TritonChannel, request: Any, timeout_s: float = 10.0) -> Cause:
    """Why this fails."""
    with pytest.raises(Failure) as failed:
        await channel.infer(request, timeout_s)
    return failed.value.cause


async def test_refusals_are_told_apart(repository: Path, control: Control, triton: TritonServer) -> None:
    """What Triton answers to bad requests, to unknown models, and when the model fails, is sorted as it should be."""
    in_no_region = request_for()
    in_no_region.ClearField("raw_input_contents")
    in_no_region.inputs[0].parameters["shared_memory_region"].string_param = "nowhere"
    in_no_region.inputs[0].parameters["shared_memory_byte_size"].int64_param = SIDE * SIDE * 3
    async with pool_over(triton) as pool, channel_to(triton.url) as channel:
        await open_version(pool, repository)
        assert await cause_of(channel, request_for(width=SIDE + 1)) is Cause.REJECTED
        assert await cause_of(channel, request_for(images=5)) is Cause.REJECTED
        assert await cause_of(channel, request_for(model="unknown")) is Cause.EMPTY
        assert await cause_of(channel, request_for(version="2")) is Cause.EMPTY
        assert await cause_of(channel, in_no_region) is Cause.EMPTY
        control.tell("obey", "fail")
        assert await cause_of(channel, request_for()) is Cause.FAILED
        control.stop("fail")
        control.tell("hold")
        assert await cause_of(channel, request_for(), 0.2) is Cause.LATE


async def test_triton_may_bound_its_queue_as_well(repository: Path, control: Control, triton: TritonServer) -> None:
    """Where that is asked for, Triton turns away what its queue has no room for."""
    async with pool_over(triton, queue_in_triton=True) as pool, channel_to(triton.url) as channel:
        await pool.open(Repository(repository).read_card("colours", 1), max_queue=1, max_batch_size=1)
        control.tell("obey", "hold")
        requests = [asyncio.create_task(channel.infer(request_for(), 10.0)) for _ in range(8)]
        await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        control.stop("hold")
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
        assert {outcome.cause for outcome in outcomes if isinstance(outcome, Failure)} == {Cause.FULL}


async def test_nobody_listening_is_unreachable(free_port: int) -> None:
    """A refused connection is known not to have executed anything."""
    async with channel_to(f"127.0.0.1:{free_port}") as channel:
        assert await cause_of(channel, request_for()) is Cause.UNREACHABLE


async def test_a_closed_channel_cancels_nobody(free_port: int) -> None:
    """A call on a channel that is closed fails as unreachable, and not as if its caller had cancelled it."""
    async with channel_to(f"127.0.0.1:{free_port}") as channel:
        pass
    assert await cause_of(channel, request_for()) is Cause.UNREACHABLE


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (Cause.UNREACHABLE, ErrorKind.ENGINE_UNAVAILABLE),
        (Cause.CUT_OFF, ErrorKind.ENGINE_UNAVAILABLE),
        (Cause.FULL, ErrorKind.OVERLOADED),
        (Cause.EMPTY, ErrorKind.ENGINE_UNAVAILABLE),
        (Cause.STUB_DEAD, ErrorKind.ENGINE_UNAVAILABLE),
        (Cause.LATE, ErrorKind.DEADLINE_EXCEEDED),
        (Cause.REJECTED, ErrorKind.INVALID_PARAMETERS),
        (Cause.FAILED, ErrorKind.ENGINE_UNAVAILABLE),
    ],
)
def test_callers_see_our_words(cause: Cause, kind: ErrorKind) -> None:
    """Every cause has a kind, and Triton's own words, which may hold paths, stay in the log."""
    error = Failure(cause, "at /srv/secret/model.onnx").for_caller("colours")
    assert error.kind is kind
    assert "secret" not in error.message


def test_only_what_was_surely_not_executed_is_tried_again() -> None:
    """A call that was cut off, was late or failed may have been executed."""
    assert {Cause.UNREACHABLE, Cause.FULL, Cause.EMPTY} == SURELY_NOT_EXECUTED


def test_reasons_lose_their_folders() -> None:
    """A reason is one line that names files, not where they are."""
    reason = (
        "\nLoad model from /srv/models/colours/3/model.onnx failed: Protobuf parsing failed.;\n\nAt:\n /usr/x.py(1)"
    )
    assert showable(reason) == "Load model from model.onnx failed: Protobuf parsing failed."
    assert len(showable("x" * 1000)) == 300
    assert showable(" \n") == ""
