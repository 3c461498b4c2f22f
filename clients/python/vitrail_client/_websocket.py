"""Streams over a WebSocket, for addresses of REST."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from vitrail_client._call import Call, FrameAnswer
from vitrail_client._errors import VitrailError, unreachable
from vitrail_client._frames import Source
from vitrail_client._query import query_of
from vitrail_client._rest_results import with_bytes

_CLOSE_TIMEOUT_S = 1.0
"""A service that does not read because its answers are not read does not see that the caller wants to leave."""


def stream(
    url: str, headers: Mapping[str, str], call: Call, frames: Iterator[bytes]
) -> Generator[FrameAnswer, None, None]:
    """See `Transport.stream`."""
    source, progress = Source(), Progress()

    def send(socket: ClientConnection) -> None:
        sent = 0
        # Whoever receives finds out why there is no connection any more.
        with suppress(ConnectionClosed):
            for image in source.take(frames):
                socket.send(image)
                sent += 1
            if progress.sent(sent):
                socket.close()

    with _translated(url, progress), _connected(_address(url, call), headers) as socket:
        # A daemon, for it may wait for a frame that never comes.
        threading.Thread(target=send, args=(socket,), name="frames", daemon=True).start()
        while not progress.complete:
            yield _answer(socket.recv())
            progress.received()
    source.check()


@contextmanager
def _connected(address: str, headers: Mapping[str, str]) -> Iterator[ClientConnection]:
    """A connection that is closed in the end; that the service has closed it already is no error then."""
    stack = ExitStack()
    socket = stack.enter_context(
        connect(address, additional_headers=headers, max_size=None, close_timeout=_CLOSE_TIMEOUT_S)
    )
    try:
        yield socket
    finally:
        with suppress(ConnectionClosed):
            stack.close()


async def stream_async(
    url: str, headers: Mapping[str, str], call: Call, frames: AsyncIterator[bytes]
) -> AsyncGenerator[FrameAnswer, None]:
    """See `Transport.stream`."""
    source, progress = Source(), Progress()

    async def send(socket: AsyncConnection) -> None:
        sent = 0
        with suppress(ConnectionClosed):
            async for image in source.take_async(frames):
                await socket.send(image)
                sent += 1
            if progress.sent(sent):
                await socket.close()

    with _translated(url, progress):
        async with _connected_async(_address(url, call), headers) as socket:
            sending = asyncio.create_task(send(socket))
            try:
                while not progress.complete:
                    yield _answer(await socket.recv())
                    progress.received()
            finally:
                sending.cancel()
    source.check()


@asynccontextmanager
async def _connected_async(address: str, headers: Mapping[str, str]) -> AsyncIterator[AsyncConnection]:
    """See `_connected`."""
    stack = AsyncExitStack()
    socket = await stack.enter_async_context(
        connect_async(address, additional_headers=headers, max_size=None, close_timeout=_CLOSE_TIMEOUT_S)
    )
    try:
        yield socket
    finally:
        with suppress(ConnectionClosed):
            await stack.aclose()


class Progress:
    """How many answers have come, and after how many there are no more; for two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = 0
        self._sent: int | None = None
        self.complete = False

    def sent(self, frames: int) -> bool:
        """Note that no more than so many frames are sent; whether all of them are answered already."""
        with self._lock:
            self._sent = frames
            return self._compare()

    def received(self) -> None:
        """Note an answer."""
        with self._lock:
            self._received += 1
            self._compare()

    def _compare(self) -> bool:
        self.complete = self._received == self._sent
        return self.complete


def _address(url: str, call: Call) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    query = urlencode({"task": call.task, **query_of(call)})
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/v1/stream?{query}"


def _answer(message: str | bytes) -> FrameAnswer:
    """A message of the service; VitrailError for one that says that there is no stream."""
    told: dict[str, Any] = json.loads(message)
    if "error" not in told:
        return {
            "frame": told["frame"],
            "model": told["model"],
            "timings_ms": told["timings_ms"],
            "result": with_bytes(told["result"]),
        }
    error = told["error"]
    if "frame" not in told:
        raise VitrailError(error["detail"], code=error["code"])
    return {"frame": told["frame"], "error": {"code": error["code"], "message": error["detail"]}}


@contextmanager
def _translated(url: str, progress: Progress) -> Iterator[None]:
    """Turn the library's errors into the client's own; the end of a stream that is complete is none."""
    try:
        yield
    except ConnectionClosed as error:
        if not progress.complete:
            reason = error.rcvd.reason if error.rcvd else "the connection is lost"
            raise VitrailError(f"the stream has ended: {reason}", code="unreachable") from error
    except InvalidHandshake as error:
        raise VitrailError(f"what answers at {url} has no streams: {error}", code="unexpected_answer") from error
    except OSError as error:
        raise unreachable(url, error) from error
