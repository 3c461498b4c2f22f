"""Another try: for what may pass by itself, as often as allowed, within the caller's patience."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
import pytest
from vitrail_client import AsyncClient, Client, VitrailError
from vitrail_client.proto import vision_pb2

from service.api.grpc.errors import CODES, trailers
from service.errors import ErrorKind, ServiceError

ANSWER = {"model": {"name": "m", "version": "1"}, "results": [{}], "timings_ms": {}, "request_id": "r"}


class Busy:
    """A server that refuses so many requests before it answers one."""

    def __init__(self, refusals: int, status: int, retry_after: str | None, body: bytes) -> None:
        self.refusals = refusals
        self.status = status
        self.retry_after = retry_after
        self.body = body
        self.patience_ms: list[float] = []
        self.headers: Message = Message()
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Take a request, and note how long its caller waits."""
        self.headers = handler.headers
        handler.rfile.read(int(handler.headers["Content-Length"]))
        self.patience_ms.append(float(handler.headers["X-Request-Timeout-Ms"]))
        refused = len(self.patience_ms) <= self.refusals
        body = self.body if refused else json.dumps(ANSWER).encode()
        handler.send_response(self.status if refused else 200)
        if refused and self.retry_after is not None:
            handler.send_header("Retry-After", self.retry_after)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def busy(
    refusals: int, status: int = 503, retry_after: str | None = "0", body: bytes = b'{"code": "engine_unavailable"}'
) -> Iterator[Busy]:
    """Such a server on a free port."""
    state = Busy(refusals, status, retry_after, body)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answer or refuse."""
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [429, 503])
async def test_the_answer_comes_in_the_end(status: int) -> None:
    """A service that is busy twice is asked three times, each time with the patience that is left."""
    with busy(2, status) as server, Client(server.url) as client:
        assert client.predict("classify", [b"image"]) == ANSWER
        first, second, third = server.patience_ms
        assert 30_000 >= first > second > third
    with busy(2, status) as server:
        async with AsyncClient(server.url) as client_async:
            assert await client_async.predict("classify", [b"image"]) == ANSWER


def test_no_more_tries_than_allowed() -> None:
    """After the last try the service's own error is raised."""
    with busy(9) as server, Client(server.url, retries=1) as client:
        with pytest.raises(VitrailError) as caught:
            client.classify(b"image")
        assert len(server.patience_ms) == 2
    assert (caught.value.code, caught.value.status, caught.value.retry_after_s) == ("engine_unavailable", 503, 0)


def test_patience_ends_the_tries() -> None:
    """A service that asks to be left alone for longer than the caller waits is not asked again."""
    with busy(9, retry_after="60") as server, Client(server.url, timeout_s=5) as client:
        with pytest.raises(VitrailError) as caught:
            client.classify(b"image")
        assert len(server.patience_ms) == 1
    assert caught.value.retry_after_s == 60


@pytest.mark.parametrize("status", [400, 404, 422, 500, 502, 504])
def test_other_errors_are_final(status: int) -> None:
    """Nothing else is tried again."""
    with busy(9, status, body=b'{"code": "internal"}') as server, Client(server.url) as client:
        with pytest.raises(VitrailError):
            client.classify(b"image")
        assert len(server.patience_ms) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(429, "overloaded"), (503, "engine_unavailable"), (504, "deadline_exceeded")]
)
def test_answers_of_proxies(status: int, code: str) -> None:
    """What a proxy says in its own words has the kind that belongs to its status."""
    with (
        busy(9, status, "Wed, 21 Oct 2026 07:28:00 GMT", b"<html>") as server,
        Client(server.url, retries=0) as client,
        pytest.raises(VitrailError, match=str(status)) as caught,
    ):
        client.classify(b"image")
    assert (caught.value.code, caught.value.retry_after_s) == (code, None)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b"\xff"])
def test_other_services(body: bytes) -> None:
    """Where another service answers, the error says that it is no Vitrail service."""
    with (
        busy(9, 200, body=body) as server,
        Client(server.url) as client,
        pytest.raises(VitrailError, match="no Vitrail service") as caught,
    ):
        client.classify(b"image")
    assert caught.value.code == "unexpected_answer"


def test_another_service_draws_nothing() -> None:
    """Nor is what another service answers taken for a picture."""
    with (
        busy(9, 200, body=b"<html>") as server,
        Client(server.url) as client,
        pytest.raises(VitrailError, match="no Vitrail service"),
    ):
        client.draw("classify", b"image")


def test_the_key() -> None:
    """The key is sent as a bearer token, beside other headers."""
    with busy(0) as server, Client(server.url, api_key="secret", headers={"X-User": "me"}) as client:
        client.classify(b"image")
        assert (server.headers["Authorization"], server.headers["X-User"]) == ("Bearer secret", "me")


class BusyCalls(grpc.GenericRpcHandler):
    """A gRPC service that refuses so many calls before it answers one."""

    def __init__(self, refusals: int, error: ServiceError | None) -> None:
        self.refusals = refusals
        self.error = error
        self.metadata: list[dict[str, str | bytes]] = []

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Any call is taken."""
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.metadata.append(dict(context.invocation_metadata()))
        if len(self.metadata) > self.refusals:
            return vision_pb2.ClassifyResponse(model={"name": "m"}, results=[{}]).SerializeToString()
        if self.error is not None:
            context.set_trailing_metadata(trailers(self.error, "r"))
            context.abort(CODES[self.error.kind], self.error.message)
        context.abort(grpc.StatusCode.UNAVAILABLE, "a proxy has lost the service")
        return b""


@contextmanager
def busy_calls(refusals: int, error: ServiceError | None) -> Iterator[tuple[str, BusyCalls]]:
    """Such a server's address, and what it has seen."""
    calls = BusyCalls(refusals, error)
    server = grpc.server(ThreadPoolExecutor(1), handlers=(calls,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", calls
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize("error", [None, ServiceError(ErrorKind.OVERLOADED, "busy", retry_after_s=0.01)])
async def test_calls_are_tried_again(error: ServiceError | None) -> None:
    """A busy or lost service is asked again over gRPC too; the key is sent each time."""
    with busy_calls(2, error) as (url, calls), Client(url, api_key="secret") as client:
        assert client.predict("classify", [b"image"])["model"]["name"] == "m"
        assert [metadata["authorization"] for metadata in calls.metadata] == ["Bearer secret"] * 3
    with busy_calls(2, error) as (url, _):
        async with AsyncClient(url) as client_async:
            assert (await client_async.predict("classify", [b"image"]))["model"]["name"] == "m"


def test_what_grpc_tells_of_waiting() -> None:
    """The seconds to wait come in the error's details; where they are too many there is no other try."""
    error = ServiceError(ErrorKind.ENGINE_UNAVAILABLE, "away", retry_after_s=60)
    with busy_calls(9, error) as (url, calls), Client(url, timeout_s=5) as client:
        with pytest.raises(VitrailError) as caught:
            client.classify(b"image")
        assert len(calls.metadata) == 1
    assert (caught.value.code, caught.value.status, caught.value.retry_after_s) == (error.kind, "UNAVAILABLE", 60)
