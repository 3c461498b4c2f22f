"""The way to the service over REST."""

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from typing import Any

import httpx

from vitrail_client._call import Answer, Call, Form, FrameAnswer
from vitrail_client._connection import AsyncConnection, Connection, Request, json_with, of_type
from vitrail_client._extras import needs
from vitrail_client._query import fits_query, given, query_of
from vitrail_client._rest_results import with_bytes

_MODELS: Request = {"method": "GET", "url": "/v1/models"}
_READY: Request = {"method": "GET", "url": "/readyz"}


class RestTransport:
    """See `Transport`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self.rest = Connection(url, headers)

    def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""
        return _answer(self.rest.send(_request(call, timeout_s), timeout_s))

    def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""
        return of_type(self.rest.send(_request(call, timeout_s, f"image/{form}"), timeout_s), "image/").content

    def stream(self, call: Call, frames: Iterator[bytes]) -> Generator[FrameAnswer, None, None]:
        """See `Transport.stream`; over a WebSocket."""
        with needs("stream"):
            from vitrail_client._websocket import stream  # noqa: PLC0415  its library is an extra
        return stream(self._url, self._headers, call, frames)

    def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """See `Transport.models`."""
        return _models(self.rest.send(_MODELS, timeout_s))

    def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""
        return self.rest.ask(_READY, timeout_s).is_success

    def close(self) -> None:
        """See `Transport.close`."""
        self.rest.close()


class AsyncRestTransport:
    """See `AsyncTransport`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self.rest = AsyncConnection(url, headers)

    async def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""
        return _answer(await self.rest.send(_request(call, timeout_s), timeout_s))

    async def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""
        response = await self.rest.send(_request(call, timeout_s, f"image/{form}"), timeout_s)
        return of_type(response, "image/").content

    def stream(self, call: Call, frames: AsyncIterator[bytes]) -> AsyncGenerator[FrameAnswer, None]:
        """See `Transport.stream`; over a WebSocket."""
        with needs("stream"):
            from vitrail_client._websocket import stream_async  # noqa: PLC0415  its library is an extra
        return stream_async(self._url, self._headers, call, frames)

    async def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """See `Transport.models`."""
        return _models(await self.rest.send(_MODELS, timeout_s))

    async def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""
        return (await self.rest.ask(_READY, timeout_s)).is_success

    async def close(self) -> None:
        """See `Transport.close`."""
        await self.rest.close()


def _request(call: Call, timeout_s: float, accept: str = "application/json") -> Request:
    headers = {"Accept": accept, "X-Request-Timeout-Ms": f"{timeout_s * 1e3:.3f}"}
    request: Request = {"method": "POST", "url": f"/v1/{call.task}", "headers": headers}
    if not fits_query(call):
        images = [{"b64": b64encode(image).decode("ascii")} for image in call.images]
        return request | {"json": {"images": images, "parameters": given(call)}}
    request["params"] = query_of(call)
    if len(call.images) == 1:
        headers["Content-Type"] = "application/octet-stream"
        return request | {"content": call.images[0]}
    return request | {"files": [("image", (str(index), image)) for index, image in enumerate(call.images)]}


def _answer(response: httpx.Response) -> Answer[Any]:
    answer: Answer[Any] = json_with(response, "results")
    answer["results"] = [with_bytes(result) for result in answer["results"]]
    return answer


def _models(response: httpx.Response) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = json_with(response, "models")["models"]
    return models
