"""Connections on the wire: uvicorn's protocols with bounds, and with one upgrade, that of streams to WebSocket."""

import asyncio
import time
from typing import Any, ClassVar
from uuid import uuid4

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from service.api.rest.problems import http_problem
from service.descriptors import descriptors

BEGUN = "vitrail.begun"
"""In the scope of a request: the moment of `time.monotonic` at which its first byte was read."""


class HeadTooLarge(httptools.HttpParserError):
    """A request's head that goes on beyond the limit."""


class RequestParser:
    """httptools' parser with a limit on the head, which goes on with a request whose caller would rather upgrade.

    httptools takes a request that asks for another protocol to be without a body. A server may ignore the wish
    (RFC 9110, section 7.8) but not the body: some clients add ``Upgrade: h2c`` to whatever they send.
    """

    def __init__(self, protocol: "BoundedProtocol", max_head_bytes: int) -> None:
        self._protocol = protocol
        self._max_head_bytes = max_head_bytes
        self._head_bytes = 0
        self._framing: list[tuple[bytes, bytes]] = []
        self._goes_on = False
        self._opens_stream = False
        self.after_head = b""
        """What has arrived behind the head of a request that opens a stream."""
        self.in_head = False
        self.head_too_large = False
        # These go straight through; httptools looks its callbacks up when it is made.
        self.on_url = protocol.on_url
        self.on_body = protocol.on_body
        self._parser = self._new_parser()

    def feed_data(self, data: bytes) -> None:
        """Take in what has arrived; HttpParserError if it is no HTTP, HeadTooLarge if a head does not end.

        HttpParserUpgrade after a request that opens a stream; nothing more may then be fed.
        """
        was_in_head = self.in_head
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                if self._opens_stream:
                    self.after_head = data
                    raise
                self._go_on()
        # What stood before the head in the same piece of data is not its fault, so the first piece is not counted.
        self._head_bytes = self._head_bytes + len(data) if was_in_head and self.in_head else 0
        if self._head_bytes > self._max_head_bytes:
            self.head_too_large = True
            raise HeadTooLarge

    def release(self) -> None:
        """Let go of the parser below, which holds this one: no garbage collection is then needed to free both."""
        del self._parser

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # As uvicorn does: what follows a request that closes the connection is no reason not to answer that one.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _go_on(self) -> None:
        """Read the body with a new parser that was told of its length, and of no upgrade."""
        framing = b"".join(b"%b: %b\r\n" % header for header in self._framing)
        self._parser = self._new_parser()
        self._goes_on = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n" + framing + b"\r\n")

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._goes_on:
            self.in_head = True
            self._framing = []
            self._protocol.on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, whole."""
        if self._goes_on:
            return
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._framing.append((name, value))
        self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head ends."""
        if self._goes_on:
            self._goes_on = False
        else:
            self.in_head = False
            self._opens_stream = not self._framing and self._protocol.opens_stream()
            self._protocol.on_headers_complete()

    def on_message_complete(self) -> None:
        """The body ends; if an upgrade was asked for, it has not begun."""
        if not self._parser.should_upgrade():
            self._protocol.on_message_complete()

    def should_upgrade(self) -> bool:
        """Whether the request opens a stream; all other wishes are passed over."""
        return self._opens_stream

    def should_keep_alive(self) -> bool:
        """Whether the caller wants to send more."""
        return self._parser.should_keep_alive()

    def get_http_version(self) -> str:
        """The request's version, such as 1.1."""
        return self._parser.get_http_version()

    def get_method(self) -> bytes:
        """The request's method."""
        return self._parser.get_method()


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests begin within a time and within a size; what is no HTTP gets a problem document."""

    max_head_bytes: ClassVar[int] = 64 * 1024
    head_timeout_s: ClassVar[float] = 20.0
    most_connections: ClassVar[int] = descriptors() * 3 // 4
    """Of REST, at a time: three quarters of the descriptors that the process may have."""
    read_stall_s: ClassVar[float] = 10.0
    """A caller that takes nothing of its answer for so long is gone: what was written for it would stay in memory."""
    stream_path: ClassVar[bytes] = b"/v1/stream"

    _timer: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._requests = RequestParser(self, self.max_head_bytes)
        self.parser = self._requests  # type: ignore[assignment]
        self._expect_head()
        if len(self.connections) > self.most_connections:
            # Without a free descriptor nobody could come in any more, nor a model's file be opened.
            self._end_with(503)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        super().data_received(data)
        if self._timer is None and not self._upgraded and (self._is_idle() or self._requests.in_head):
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._head_is_here()
        self._reads_again()
        self._requests.release()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`; whoever reads on, however slowly, is borne with."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        self._reads_again()

    def on_message_begin(self) -> None:
        """See `HttpToolsProtocol`; a request's time runs from here on."""
        super().on_message_begin()
        self.scope[BEGUN] = time.monotonic()  # type: ignore[literal-required]

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._head_is_here()
        super().on_headers_complete()

    def opens_stream(self) -> bool:
        """Whether the request whose head has been read is the handshake of a stream, and nothing is in its way."""
        return (
            self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and self.url.partition(b"?")[0] == self.stream_path
            and self._should_upgrade()
            and self._is_idle()
        )

    def handle_websocket_upgrade(self) -> None:
        """See `HttpToolsProtocol`; the connection is not this protocol's from now on."""
        self._upgraded = True
        super().handle_websocket_upgrade()
        after_head = self._requests.after_head
        self._requests.release()
        protocol = self.transport.get_protocol()
        if after_head and not self.transport.is_closing() and isinstance(protocol, asyncio.Protocol):
            # A caller that does not wait for the answer to its handshake has its first frames in the same piece.
            protocol.data_received(after_head)

    def send_400_response(self, msg: str) -> None:
        """Tell in the documented form that this is no request, and close."""
        del msg
        self._end_with(431 if self._requests.head_too_large else 400)

    def _end_with(self, status: int) -> None:
        response = http_problem(status, uuid4().hex)
        headers = [*self.server_state.default_headers, *response.raw_headers, (b"connection", b"close")]
        head = STATUS_LINE[response.status_code] + b"".join(b"%b: %b\r\n" % header for header in headers)
        self.transport.write(head + b"\r\n" + bytes(response.body))
        self.transport.close()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _head_is_here(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect_reading(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self.read_stall_s, self._require_reading, unread)

    def _reads_again(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _require_reading(self, unread: int) -> None:
        if self.transport.get_write_buffer_size() < unread:
            self._expect_reading()
        else:
            self.transport.abort()

    def _give_up(self) -> None:
        """Close a connection that sends no request, unless an earlier one is still being answered."""
        if self._is_idle():
            self.transport.close()
        else:
            self._expect_head()


class StreamProtocol(WebSocketsSansIOProtocol):
    """A connection that carries a stream; it ends when its stream does, even if the caller reads nothing any more."""

    close_timeout_s: ClassVar[float] = 5.0
    linger_s: ClassVar[float] = 1.0

    _end: asyncio.TimerHandle | None = None
    _failed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = self.close_timeout_s

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._failed:
            return
        super().data_received(data)
        if not self.handshake_initiated:
            # The head is no handshake by the library's measure, e.g. by a header that is too long for it.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self._end is not None:
            self._end.cancel()
        # There is nothing left that could be read on. The library's parser refers to itself: what it holds of a frame
        # would wait for the garbage collector.
        self.read_paused = False
        self.conn.reader.discard()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`; who does not read what it is sent is not read from: pings would pile up answers."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_parser_exception(self) -> None:
        """See `WebSocketsSansIOProtocol`; what the caller goes on sending is read for a while, and thrown away.

        Closed with data unread, TCP would drop what was sent last: the caller would never see why it was refused.
        """
        self._failed = True
        closed = self.conn.close_sent
        code, reason = (closed.code, closed.reason) if closed else (1006, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(self.linger_s, self.transport.close)

    def shutdown(self) -> None:
        """See `WebSocketsSansIOProtocol`; the stream is told, finishes what it has begun, and says good-bye itself."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
            return
        self.stop_keepalive()
        # What has arrived but was not begun would take its time: small frames may be thousands.
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1012})

    async def run_asgi(self) -> None:
        """See `WebSocketsSansIOProtocol`."""
        await super().run_asgi()
        if not self.disconnected:
            # Closing waits until everything is sent; nobody says when that will be.
            self._end = self.loop.call_later(2 * self.close_timeout, self.transport.abort)

    async def send(self, message: Any) -> None:
        """See `WebSocketsSansIOProtocol`; ClientDisconnected also where this side has had to close meanwhile."""
        await self.writable.wait()
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
