"""Live streams over a service of tiny models, and sources on loopback that do as they are told."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import orjson

from service.url_policy import UrlPolicy
from service.video.live_address import AddressPolicy
from service.video.live_asking import LiveAsking
from service.video.live_events import StreamEvents
from service.video.live_limits import LiveLimits
from service.video.live_readers import Reader
from service.video.live_request import LiveRequest
from service.video.live_stream import LiveStream
from service.video.opening import VideoOptions
from service.video.streams import Streams
from tests.doubles import until
from tests.service.running import Running, encode
from tests.service.video.filming import grey

QUICK = LiveLimits(
    open_timeout_s=5.0,
    read_timeout_s=0.5,
    frame_timeout_s=5.0,
    first_pause_s=0.01,
    longest_pause_s=0.05,
    end_wait_s=10.0,
)
HERE = UrlPolicy(["http://127.0.0.1:*", "rtsp://127.0.0.1:*"])


@asynccontextmanager
async def live(
    service: Running,
    *,
    policy: AddressPolicy = HERE,
    events: StreamEvents | None = None,
    options: VideoOptions | None = None,
    **changes: Any,
) -> AsyncIterator[Streams]:
    """Streams over a service's models, with changes of the limits; closed at the end."""
    application = service.application
    limits = replace(QUICK, **changes)
    streams = Streams(
        application.inference, options or VideoOptions(), limits, policy, application.workers, events=events
    )
    try:
        yield streams
    finally:
        await streams.close()
        assert streams.running == 0


async def begun(streams: Streams, url: str, owner: str = "", **wanted: Any) -> LiveStream:
    """A stream, as a caller asks for it; for the detector unless something else is wanted."""
    return await streams.begin(LiveRequest.of({"url": url, "task": "detect", **wanted}), owner)


def asking(service: Running, task: str = "detect", timeout_s: float = 5.0, **wanted: object) -> LiveAsking:
    """One that asks a service for the frames of a stream."""
    request = LiveRequest.of({"url": "rtsp://camera/a", "task": task, **wanted})
    return LiveAsking(service.application.inference, request, "a stream", timeout_s)


async def lines_from(reader: Reader, count: int) -> list[dict[str, Any]]:
    """The next lines, so many at least."""
    lines: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while len(lines) < count:
            lines += [orjson.loads(line) for line in (await anext(reader)).splitlines()]
    return lines


async def first_lines(stream: LiveStream, count: int) -> list[dict[str, Any]]:
    """The next lines of a stream, so many at least."""
    reader = stream.readers.add()
    try:
        return await lines_from(reader, count)
    finally:
        reader.close()


async def over(stream: LiveStream) -> LiveStream:
    """The stream once it is over."""
    await until(lambda: stream.state.over)
    return stream


class HttpSource:
    """Answers everyone who asks by HTTP, one after another: a head, then what ``body`` writes, then nothing more.

    ``stay``: the line stays open behind the body until the caller leaves.
    """

    def __init__(
        self,
        body: Callable[["HttpSource", socket.socket], None],
        head: str = "200 OK\r\nContent-Type: video/mp2t",
        *,
        stay: bool = False,
    ) -> None:
        self._body, self._head, self._stay = body, head, stay
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run)
        self._line: socket.socket | None = None
        self.stop = threading.Event()
        self.callers = 0
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/live"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                self._line, _ = self._listening.accept()
            except OSError:
                return
            self.callers += 1
            with suppress(OSError), self._line as line:
                line.recv(65_536)
                line.sendall(f"HTTP/1.1 {self._head}\r\nConnection: close\r\n\r\n".encode())
                self._body(self, line)
                while self._stay and line.recv(65_536):
                    pass


def sending(data: bytes, *, endless: bool = False, pause_s: float = 0.0) -> Callable[[HttpSource, socket.socket], None]:
    """A body of these bytes, once or again and again, with a pause after each."""

    def send(source: HttpSource, line: socket.socket) -> None:
        line.sendall(data)
        while endless and not source.stop.wait(pause_s):
            line.sendall(data)

    return send


def photographs(count: int) -> bytes:
    """So many bright JPEGs, one after another, as cameras send them by HTTP."""
    parts = []
    for number in range(count):
        jpeg = encode(grey(number), "JPEG")
        parts.append(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))
    return b"".join(parts)
