"""The three forms in which a video comes, on its way to disk: only a piece of it is in memory at a time."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.api.rest.body import BodyLimits
from service.errors import ErrorKind, ServiceError, deadline_exceeded, invalid_parameters
from service.video.download import Download, name_in

_PART = "video"
_MAX_FIELDS = 64
_MAX_FIELD_BYTES = 1 << 16
"""Of all fields of a form together, and of a JSON body."""
_LENGTH = re.compile("[0-9]{1,18}")
_LINGER_S = 2.0
_LINGER_BYTES = 16 << 20


class Arriving:
    """The body of a request, as it arrives."""

    def __init__(self, request: Request, stall_s: float) -> None:
        """``stall_s``: seconds that it may pause."""
        self._request = request
        self._stall_s = stall_s
        self._received = 0
        self.ended = False
        """Nothing more will come."""

    @property
    def declared_bytes(self) -> int | None:
        """Its length, as the caller says."""
        text = self._request.headers.get("content-length", "")
        return int(text) if _LENGTH.fullmatch(text) else None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """All of it, in pieces that are not empty.

        Raises:
            ServiceError: deadline_exceeded where it stalls; invalid_parameters where it has another length than said.
            ClientDisconnect: the caller has left.
        """
        while not self.ended:
            try:
                async with asyncio.timeout(self._stall_s):
                    message = await self._request.receive()
            except TimeoutError:
                raise deadline_exceeded(f"the body stopped arriving after {self._received} bytes") from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            self._received += len(chunk)
            self.ended = not message.get("more_body", False)
            if chunk:
                yield chunk
        if self.declared_bytes not in (None, self._received):
            raise invalid_parameters(f"Content-Length says {self.declared_bytes} bytes, and {self._received} came")


@dataclass(frozen=True, slots=True)
class VideoBody:
    """A video that is still to be read, and what stood before it."""

    name: str | None
    """The file's, as the caller gave it."""
    parameters: dict[str, str]
    """As the query could have them."""
    declared_bytes: int | None
    chunks: AsyncGenerator[bytes, None]
    """The video itself."""


@asynccontextmanager
async def opened_body(
    request: Request, arriving: Arriving, limits: BodyLimits, download: Download | None
) -> AsyncIterator[VideoBody]:
    """Read what stands before the video; the rest is to be taken from ``chunks``.

    Raises:
        ServiceError: invalid_parameters, too_large, deadline_exceeded; forbidden for an address that is not allowed.
        ClientDisconnect: the caller has left.
    """
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    async with aclosing(arriving.chunks()) as chunks:
        if media_type == b"multipart/form-data":
            form = _Form(chunks, options.get(b"boundary", b""))
            await form.begin()
            body = VideoBody(form.filename, form.fields, arriving.declared_bytes, form.video())
        elif media_type == b"application/json":
            body = _by_address(_parsed(await _small(chunks, limits)), download)
        else:
            body = VideoBody(_name_of(request), {}, arriving.declared_bytes, chunks)
        async with aclosing(body.chunks):
            yield body


def _name_of(request: Request) -> str | None:
    _, options = parse_options_header(request.headers.get("content-disposition", ""))
    return _text(options.get(b"filename", b"")) or None


def _by_address(given: dict[str, Any], download: Download | None) -> VideoBody:
    url = given.pop("url", None)
    if not isinstance(url, str):
        raise invalid_parameters('the JSON body is {"url": "https://…"}, and parameters beside it')
    if download is None:
        raise ServiceError(ErrorKind.FORBIDDEN, "this service fetches no videos by URL; send the file")
    download.check(url)
    return VideoBody(name_in(url), {name: _as_text(value) for name, value in given.items()}, None, download.chunks(url))


async def _small(chunks: AsyncGenerator[bytes, None], limits: BodyLimits) -> bytes:
    """A body of a few words, whole."""
    received = bytearray()
    try:
        async with asyncio.timeout(limits.timeout_s):
            async for chunk in chunks:
                received += chunk
                if len(received) > _MAX_FIELD_BYTES:
                    raise ServiceError(ErrorKind.TOO_LARGE, f"the JSON body is larger than {_MAX_FIELD_BYTES:,} bytes")
    except TimeoutError:
        raise deadline_exceeded(f"the body did not come whole within {limits.timeout_s:g} s") from None
    return bytes(received)


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        given = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise invalid_parameters(f"the body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise invalid_parameters("the JSON body is an object")
    return {name: value for name, value in given.items() if value is not None}


def _as_text(value: object) -> str:
    """As the query has it: several values with commas between them."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ",".join(_as_text(item) for item in value)
    return orjson.dumps(value).decode()


class _Form:
    """A form with one video in it, behind its other fields: what is wanted is known before the video is read."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], boundary: bytes) -> None:
        if not boundary:
            raise invalid_parameters("the multipart body's boundary is missing in its Content-Type")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._chunks = chunks
        self._pieces: list[bytes] = []
        """Of the video, not yet taken."""
        self._begun = self._within = self._ended = False
        self._header = self._value = self._disposition = b""
        self._field: str = ""
        self._content = bytearray()
        self._field_bytes = 0
        callbacks: Any = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_end": self._on_end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise _broken(error) from error

    async def begin(self) -> None:
        """Read up to the video."""
        while not self._begun and await self._more():
            pass
        if not self._begun:
            raise invalid_parameters(f"the multipart body has no part named {_PART!r}")

    async def video(self) -> AsyncGenerator[bytes, None]:
        """The video, and then the end of the form."""
        while True:
            pieces, self._pieces = self._pieces, []
            for piece in pieces:
                yield piece
            if not await self._more():
                return

    async def _more(self) -> bool:
        """Take in what comes next; False at the end."""
        chunk = await anext(self._chunks, b"")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _broken(error) from error
        if not chunk and not self._ended:
            raise invalid_parameters("the multipart body ends before its closing boundary")
        return bool(chunk)

    def _on_part_begin(self) -> None:
        self._disposition = b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._field = _text(options.get(b"name", b""))
        self._within = self._field == _PART
        if self._begun:
            raise invalid_parameters(f"behind the part {_PART!r} stands another; put parameters before it")
        if self._within:
            self._begun = True
            self.filename = _text(options.get(b"filename", b"")) or None
        elif b"filename" in options:
            raise invalid_parameters(f"the multipart body has a file that is not named {_PART!r}")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._within:
            self._pieces.append(data[start:end])
            return
        self._field_bytes += end - start
        if self._field_bytes > _MAX_FIELD_BYTES:
            raise invalid_parameters(f"the form's fields have more than {_MAX_FIELD_BYTES:,} bytes")
        self._content += data[start:end]

    def _on_part_end(self) -> None:
        if not self._within:
            self.fields[self._field] = _text(bytes(self._content))
            self._content.clear()
            if len(self.fields) > _MAX_FIELDS:
                raise invalid_parameters(f"the form has more than {_MAX_FIELDS} fields")

    def _on_end(self) -> None:
        self._ended = True


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _broken(error: FormParserError) -> ServiceError:
    return invalid_parameters(f"the multipart body cannot be read: {error}")


class LastAnswer(Response):
    """An answer before the body has been read: said at once, then a bounded part of the rest is read and thrown away.

    Closed with data unread, TCP would drop what was sent last: the caller would never see why it was refused.
    """

    def __init__(self, answer: Response) -> None:
        """As that answer, and the connection ends behind it."""
        super().__init__(answer.body, answer.status_code)
        self.raw_headers = answer.raw_headers
        self.headers["Connection"] = "close"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                await _pass_over(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _pass_over(receive: Receive) -> None:
    read = 0
    while read < _LINGER_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        read += len(message.get("body", b""))
