"""The way to the service over REST."""

from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from vitrail_client._call import Answer, Call, Form, FrameAnswer
from vitrail_client._errors import VitrailError, deadline_exceeded, unreachable
from vitrail_client._extras import needs
from vitrail_client._query import fits_query, given, query_of
from vitrail_client._rest_results import with_bytes

_CODES = {429: "overloaded", 503: "engine_unavailable", 504: "deadline_exceeded"}
"""Kinds of the answers of proxies, which know nothing of problem documents."""


class RestTransport:
    """See `Transport`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._client = httpx.Client(base_url=url, headers=headers)

    def _send(self, timeout_s: float, request: dict[str, Any]) -> httpx.Response:
        with _translated(self._url, timeout_s):
            return self._client.request(**request, timeout=timeout_s)

    def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""
        return _answer(self._send(timeout_s, _request(call, timeout_s)))

    def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""
        return _picture(self._send(timeout_s, _request(call, timeout_s, f"image/{form}")))

    def stream(self, call: Call, frames: Iterator[bytes]) -> Generator[FrameAnswer, None, None]:
        """See `Transport.stream`; over a WebSocket."""
        with needs("stream"):
            from vitrail_client._websocket import stream  # noqa: PLC0415  its library is an extra
        return stream(self._url, self._headers, call, frames)

    def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """See `Transport.models`."""
        return _models(self._send(timeout_s, {"method": "GET", "url": "/v1/models"}))

    def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""
        return self._send(timeout_s, {"method": "GET", "url": "/readyz"}).is_success

    def close(self) -> None:
        """See `Transport.close`."""
        self._client.close()


class AsyncRestTransport:
    """See `AsyncTransport`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._client = httpx.AsyncClient(base_url=url, headers=headers)

    async def _send(self, timeout_s: float, request: dict[str, Any]) -> httpx.Response:
        with _translated(self._url, timeout_s):
            return await self._client.request(**request, timeout=timeout_s)

    async def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""
        return _answer(await self._send(timeout_s, _request(call, timeout_s)))

    async def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""
        return _picture(await self._send(timeout_s, _request(call, timeout_s, f"image/{form}")))

    def stream(self, call: Call, frames: AsyncIterator[bytes]) -> AsyncGenerator[FrameAnswer, None]:
        """See `Transport.stream`; over a WebSocket."""
        with needs("stream"):
            from vitrail_client._websocket import stream_async  # noqa: PLC0415  its library is an extra
        return stream_async(self._url, self._headers, call, frames)

    async def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """See `Transport.models`."""
        return _models(await self._send(timeout_s, {"method": "GET", "url": "/v1/models"}))

    async def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""
        return (await self._send(timeout_s, {"method": "GET", "url": "/readyz"})).is_success

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._client.aclose()


def _request(call: Call, timeout_s: float, accept: str = "application/json") -> dict[str, Any]:
    """Arguments for httpx."""
    headers = {"Accept": accept, "X-Request-Timeout-Ms": f"{timeout_s * 1e3:.3f}"}
    request: dict[str, Any] = {"method": "POST", "url": f"/v1/{call.task}", "headers": headers}
    if not fits_query(call):
        images = [{"b64": b64encode(image).decode("ascii")} for image in call.images]
        return request | {"json": {"images": images, "parameters": given(call)}}
    request["params"] = query_of(call)
    if len(call.images) == 1:
        headers["Content-Type"] = "application/octet-stream"
        return request | {"content": call.images[0]}
    return request | {"files": [("image", (str(index), image)) for index, image in enumerate(call.images)]}


def _answer(response: httpx.Response) -> Answer[Any]:
    answer: Answer[Any] = _checked_json(response, "results")
    answer["results"] = [with_bytes(result) for result in answer["results"]]
    return answer


def _models(response: httpx.Response) -> list[dict[str, Any]]:
    models: list[dict[str, Any]] = _checked_json(response, "models")["models"]
    return models


def _checked_json(response: httpx.Response, field: str) -> Any:
    """The JSON object of a good answer, which has that field."""
    content = _json(_checked(response))
    if field not in content:
        raise _other_service(response)
    return content


def _picture(response: httpx.Response) -> bytes:
    if not _checked(response).headers.get("Content-Type", "").startswith("image/"):
        raise _other_service(response)
    return response.content


def _other_service(response: httpx.Response) -> VitrailError:
    message = f"what answers at {response.url} is no Vitrail service"
    return VitrailError(message, code="unexpected_answer", status=response.status_code)


def _json(response: httpx.Response) -> dict[str, Any]:
    """The JSON object that an answer holds, or an empty one."""
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _checked(response: httpx.Response) -> httpx.Response:
    """The response if it is a good one, else VitrailError with what its problem document says."""
    if response.is_success:
        return response
    problem = _json(response)
    status = response.status_code
    raise VitrailError(
        str(problem.get("detail") or f"{response.url} answered {status} {response.reason_phrase}"),
        code=str(problem.get("code") or _CODES.get(status, "unexpected_answer")),
        status=status,
        request_id=response.headers.get("X-Request-Id"),
        retry_after_s=_seconds(response.headers.get("Retry-After", "")),
    )


def _seconds(text: str) -> float | None:
    """Retry-After's seconds; its other form, a date, is of no use here."""
    return float(text) if text.isdecimal() else None


@contextmanager
def _translated(url: str, timeout_s: float) -> Iterator[None]:
    """Turn httpx's errors into the client's own."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise deadline_exceeded(timeout_s) from error
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
