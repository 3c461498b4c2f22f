"""The three forms in which a video comes, on its way to disk: only a piece of it is in memory at a time."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from service.api.rest.body import BodyLimits
from service.api.rest.video_form import VideoForm
from service.errors import ErrorKind, ServiceError, deadline_exceeded, invalid_parameters
from service.video.download import Download, name_in

_MAX_JSON_BYTES = 1 << 16
_LENGTH = re.compile("[0-9]{1,18}")


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
            form = VideoForm(chunks, options.get(b"boundary", b""))
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
    return options.get(b"filename", b"").decode(errors="replace") or None


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
                if len(received) > _MAX_JSON_BYTES:
                    raise ServiceError(ErrorKind.TOO_LARGE, f"the JSON body is larger than {_MAX_JSON_BYTES:,} bytes")
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
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:  # it can be read deeper than it can be written
        raise invalid_parameters(f"the JSON body is nested too deep: {error}") from error
