"""Requests over HTTP: good answers as they are, all others as the client's own errors."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeAlias

import httpx

from vitrail_client._early_answers import EarlyAnswer
from vitrail_client._errors import VitrailError, deadline_exceeded, unreachable

Request: TypeAlias = dict[str, Any]
"""Arguments for httpx: the method, the URL below the service's, what is sent."""

_CODES = {429: "overloaded", 503: "engine_unavailable", 504: "deadline_exceeded"}
"""Kinds of the answers of proxies, which know nothing of problem documents."""


class Rest(Protocol):
    """What is asked for over REST only. Each method raises `VitrailError`; times are seconds without a sign of life."""

    def send(self, request: Request, timeout_s: float) -> httpx.Response:
        """A good answer, whole."""

    def upload(self, request: Request, timeout_s: float) -> httpx.Response:
        """A good answer to a request whose content comes in pieces, also one that comes before the last of them."""

    def opened(self, request: Request, timeout_s: float) -> AbstractContextManager[httpx.Response]:
        """A good answer whose body is still to be read."""


class AsyncRest(Protocol):
    """`Rest`, asynchronous."""

    async def send(self, request: Request, timeout_s: float) -> httpx.Response:
        """See `Rest.send`."""

    async def upload(self, request: Request, timeout_s: float) -> httpx.Response:
        """See `Rest.upload`."""

    def opened(self, request: Request, timeout_s: float) -> AbstractAsyncContextManager[httpx.Response]:
        """See `Rest.opened`."""


class Connection:
    """See `Rest`; connections are kept and used again."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._client = httpx.Client(base_url=url, headers=headers)

    def ask(self, request: Request, timeout_s: float) -> httpx.Response:
        """An answer, good or not."""
        with translated(self._url, timeout_s):
            return self._client.request(**request, timeout=timeout_s)

    def send(self, request: Request, timeout_s: float) -> httpx.Response:
        """See `Rest.send`."""
        return checked(self.ask(request, timeout_s))

    def upload(self, request: Request, timeout_s: float) -> httpx.Response:
        """See `Rest.upload`."""
        early = EarlyAnswer(self._url)
        request = request | {"content": early.before(request["content"]), "extensions": {"trace": early.trace}}
        with translated(self._url, timeout_s), httpx.Client(base_url=self._url, headers=self._headers) as client:
            return checked(client.request(**request, timeout=timeout_s))

    @contextmanager
    def opened(self, request: Request, timeout_s: float) -> Iterator[httpx.Response]:
        """See `Rest.opened`."""
        with translated(self._url, timeout_s), self._client.stream(**request, timeout=timeout_s) as response:
            if not response.is_success:
                response.read()
            yield checked(response)

    def close(self) -> None:
        """Let go of all connections."""
        self._client.close()


class AsyncConnection:
    """See `AsyncRest`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._client = httpx.AsyncClient(base_url=url, headers=headers)

    async def ask(self, request: Request, timeout_s: float) -> httpx.Response:
        """An answer, good or not."""
        with translated(self._url, timeout_s):
            return await self._client.request(**request, timeout=timeout_s)

    async def send(self, request: Request, timeout_s: float) -> httpx.Response:
        """See `Rest.send`."""
        return checked(await self.ask(request, timeout_s))

    async def upload(self, request: Request, timeout_s: float) -> httpx.Response:
        """See `Rest.upload`."""
        early = EarlyAnswer(self._url)
        content = early.before_async(request["content"])
        request = request | {"content": content, "extensions": {"trace": early.trace_async}}
        with translated(self._url, timeout_s):
            async with httpx.AsyncClient(base_url=self._url, headers=self._headers) as client:
                return checked(await client.request(**request, timeout=timeout_s))

    @asynccontextmanager
    async def opened(self, request: Request, timeout_s: float) -> AsyncIterator[httpx.Response]:
        """See `Rest.opened`."""
        with translated(self._url, timeout_s):
            async with self._client.stream(**request, timeout=timeout_s) as response:
                if not response.is_success:
                    await response.aread()
                yield checked(response)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()


def checked(response: httpx.Response) -> httpx.Response:
    """The response if it is a good one, else VitrailError with what its problem document says."""
    if response.is_success:
        return response
    problem = json_of(response)
    status = response.status_code
    raise VitrailError(
        str(problem.get("detail") or f"{response.url} answered {status} {response.reason_phrase}"),
        code=str(problem.get("code") or _CODES.get(status, "unexpected_answer")),
        status=status,
        request_id=response.headers.get("X-Request-Id"),
        retry_after_s=_seconds(response.headers.get("Retry-After", "")),
    )


def json_with(response: httpx.Response, *fields: str) -> Any:
    """The JSON object of a good answer, which has these fields."""
    content = json_of(response)
    if not content.keys() >= set(fields):
        raise other_service(response)
    return content


def json_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object that an answer holds, or an empty one."""
    try:
        content = response.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def of_type(response: httpx.Response, media_type: str) -> httpx.Response:
    """The response if it is of that type, or of that kind of type."""
    if not response.headers.get("Content-Type", "").startswith(media_type):
        raise other_service(response)
    return response


def other_service(response: httpx.Response) -> VitrailError:
    """The answer is none of this service's."""
    message = f"what answers at {response.url} is no Vitrail service"
    return VitrailError(message, code="unexpected_answer", status=response.status_code)


def _seconds(text: str) -> float | None:
    """Retry-After's seconds; its other form, a date, is of no use here."""
    return float(text) if text.isdecimal() else None


@contextmanager
def translated(url: str, timeout_s: float) -> Iterator[None]:
    """Turn httpx's errors into the client's own."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise deadline_exceeded(timeout_s) from error
    except httpx.TransportError as error:
        raise unreachable(url, error) from error
