"""Errors of the client: one kind whichever the transport, with all that the service tells."""

from typing import Any

import pytest
from vitrail_client import AsyncClient, Client, VitrailError

from service.api.grpc.errors import CODES
from service.api.rest.problems import STATUS
from service.errors import ErrorKind
from tests.clients.addresses import TRANSPORTS, Addresses, Transport
from tests.service.running import RED, picture

MINE = {"X-Request-Id": "mine"}
WRONG: list[tuple[ErrorKind, str, dict[str, Any]]] = [
    (ErrorKind.INVALID_IMAGE, "classify", {"image": b"no image"}),
    (ErrorKind.INVALID_IMAGE, "classify", {"image": [RED, b""]}),
    (ErrorKind.INVALID_PARAMETERS, "classify", {"image": RED, "top_k": 0}),
    (ErrorKind.INVALID_PARAMETERS, "detect", {"image": RED, "labels": ["nobody"]}),
    (ErrorKind.INVALID_PARAMETERS, "classify", {"image": RED, "model": "No Name"}),
    (ErrorKind.MODEL_NOT_FOUND, "classify", {"image": RED, "model": "nobody"}),
    (ErrorKind.TOO_LARGE, "classify", {"image": [RED] * 65}),
]


async def failure(url: str, task: str, asked: dict[str, Any], timeout_s: float = 30) -> VitrailError:
    """The error by which a call ends, which is the same where it is asynchronous."""
    with Client(url, headers=MINE, timeout_s=timeout_s) as client, pytest.raises(VitrailError) as caught:
        getattr(client, task)(**asked)
    async with AsyncClient(url, headers=MINE, timeout_s=timeout_s) as client_async:
        with pytest.raises(VitrailError) as caught_async:
            await getattr(client_async, task)(**asked)
    assert caught.value.code == caught_async.value.code
    return caught.value


@pytest.mark.parametrize(("kind", "task", "asked"), WRONG)
async def test_kinds(served: Addresses, kind: ErrorKind, task: str, asked: dict[str, Any]) -> None:
    """The kind, the message and the request's id are the service's; the status is the transport's."""
    rest, grpc = await failure(served.rest, task, asked), await failure(served.grpc, task, asked)

    assert (rest.code, rest.request_id, rest.status) == (kind, "mine", STATUS[kind])
    assert (grpc.code, grpc.request_id, grpc.status) == (kind, "mine", CODES[kind].name)
    assert rest.message == grpc.message
    assert str(rest) == f"{rest.message} (request mine)"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("asked", [{"top_q": 1}, {"top_k": "many"}, {"top_k": -1}])
async def test_impossible_parameters(served: Addresses, transport: Transport, asked: dict[str, Any]) -> None:
    """Parameters that the task does not have, or cannot take, are refused, and named."""
    error = await failure(served.over(transport), "classify", {"image": RED, **asked})

    assert error.code == "invalid_parameters"
    assert next(iter(asked)) in error.message


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_patience(served: Addresses, transport: Transport) -> None:
    """A call that is given no time, for work that takes some, ends by its deadline."""
    large = [picture(width=2000, height=2000)] * 32
    error = await failure(served.over(transport), "classify", {"image": large}, timeout_s=1e-6)

    assert error.code == "deadline_exceeded"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
async def test_nobody_there(scheme: str) -> None:
    """Where nobody answers, the error says so and names the address."""
    error = await failure(f"{scheme}://127.0.0.1:9", "classify", {"image": RED})

    assert (error.code, error.status) == ("unreachable", None)
    assert f"{scheme}://127.0.0.1:9" in error.message
