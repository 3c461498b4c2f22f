"""The clients: one plain, one asynchronous, with the same methods."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from vitrail_client._call import Answer, AsyncTransport, Call, Form, FrameAnswer, Transport
from vitrail_client._errors import VitrailError
from vitrail_client._extras import needs
from vitrail_client._images import Image, encoded
from vitrail_client._rest import AsyncRestTransport, RestTransport
from vitrail_client._retries import ask, ask_async
from vitrail_client._streams import AsyncStreams, Streams
from vitrail_client._tasks import AsyncTasks, Task, Tasks
from vitrail_client._videos import AsyncVideos, Videos

DEFAULT_URL = "http://127.0.0.1:8000"


class Client(Tasks):
    """A service, by its address: ``http(s)://host:port`` over REST, ``grpc(s)://host:port`` over gRPC.

    Args:
        url: The service's address.
        api_key: Sent as a bearer token.
        timeout_s: Seconds that a call waits for its answer, all tries together; the service is told.
        retries: How often a call is tried again where the service is busy or away.
        headers: Sent with every call, as HTTP headers or as gRPC metadata.

    Raises:
        ValueError: The address is of no such form.
        ModuleNotFoundError: gRPC is wanted and not installed.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self.retries = retries
        self._transport = _transport(url, _headers(api_key, headers))
        self.videos = Videos(self._transport.rest, timeout_s, retries)
        """Jobs over video files; over REST only."""
        self.streams = Streams(self._transport.rest, timeout_s, retries)
        """Live streams: cameras that the service watches by itself; over REST only."""

    def _ask(self, task: Task, image: Any, model: str | None, timeout_s: float | None, parameters: Any) -> Any:
        if isinstance(image, list):
            return self.predict(task, image, model=model, timeout_s=timeout_s, **parameters)["results"] if image else []
        return self.predict(task, [image], model=model, timeout_s=timeout_s, **parameters)["results"][0]

    def predict(
        self,
        task: Task,
        images: Iterable[Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Any,
    ) -> Answer[Any]:
        """The whole answer of a task for some images: results, the version that gave them, timings, request id."""
        call = Call.of(task, [encoded(image) for image in images], model, parameters)
        return ask(lambda left: self._transport.answer(call, left), timeout_s or self.timeout_s, self.retries)

    def draw(
        self,
        task: Task,
        image: Image,
        *,
        form: Form = "png",
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Any,
    ) -> bytes:
        """The answer drawn on its image, as an encoded picture."""
        call = Call.of(task, [encoded(image)], model, parameters)
        return ask(lambda left: self._transport.draw(call, form, left), timeout_s or self.timeout_s, self.retries)

    def stream(
        self, frames: Iterable[Image], task: Task, *, model: str | None = None, **parameters: Any
    ) -> Generator[FrameAnswer, None, None]:
        """An answer for each frame, in their order; over gRPC's stream, or a WebSocket where the address is of REST.

        Frames are taken in a thread of their own, no faster than the service answers, and forever if there is no end
        of them. A frame that fails has ``error`` in its answer. What taking frames raises is raised here, after the
        answers to the frames before.
        """
        return self._transport.stream(Call.of(task, [], model, parameters), map(encoded, frames))

    def models(self) -> list[dict[str, Any]]:
        """The models as ``GET /v1/models`` describes them; over REST only."""
        return ask(self._transport.models, self.timeout_s, self.retries)

    def ready(self) -> bool:
        """Whether requests will be answered; False also where nobody is there."""
        try:
            return self._transport.ready(self.timeout_s)
        except VitrailError:
            return False

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(AsyncTasks):
    """`Client`, asynchronous: the same arguments and methods."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        retries: int = 2,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self.retries = retries
        self._transport = _async_transport(url, _headers(api_key, headers))
        self.videos = AsyncVideos(self._transport.rest, timeout_s, retries)
        """See `Client.videos`."""
        self.streams = AsyncStreams(self._transport.rest, timeout_s, retries)
        """See `Client.streams`."""

    async def _ask(self, task: Task, image: Any, model: str | None, timeout_s: float | None, parameters: Any) -> Any:
        images = image if isinstance(image, list) else [image]
        if not images:
            return []
        results = (await self.predict(task, images, model=model, timeout_s=timeout_s, **parameters))["results"]
        return results if isinstance(image, list) else results[0]

    async def predict(
        self,
        task: Task,
        images: Iterable[Image],
        *,
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Any,
    ) -> Answer[Any]:
        """See `Client.predict`."""
        call = Call.of(task, [await _encoded(image) for image in images], model, parameters)
        return await ask_async(
            lambda left: self._transport.answer(call, left), timeout_s or self.timeout_s, self.retries
        )

    async def draw(
        self,
        task: Task,
        image: Image,
        *,
        form: Form = "png",
        model: str | None = None,
        timeout_s: float | None = None,
        **parameters: Any,
    ) -> bytes:
        """See `Client.draw`."""
        call = Call.of(task, [await _encoded(image)], model, parameters)
        return await ask_async(
            lambda left: self._transport.draw(call, form, left), timeout_s or self.timeout_s, self.retries
        )

    def stream(
        self,
        frames: Iterable[Image] | AsyncIterable[Image],
        task: Task,
        *,
        model: str | None = None,
        **parameters: Any,
    ) -> AsyncGenerator[FrameAnswer, None]:
        """See `Client.stream`."""
        return self._transport.stream(Call.of(task, [], model, parameters), _each_encoded(frames))

    async def models(self) -> list[dict[str, Any]]:
        """See `Client.models`."""
        return await ask_async(self._transport.models, self.timeout_s, self.retries)

    async def ready(self) -> bool:
        """See `Client.ready`."""
        try:
            return await self._transport.ready(self.timeout_s)
        except VitrailError:
            return False

    async def close(self) -> None:
        """See `Client.close`."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _encoded(image: Image) -> bytes:
    """See `encoded`; files are read and pictures written in a thread."""
    return image if isinstance(image, bytes) else await asyncio.to_thread(encoded, image)


async def _each_encoded(frames: Iterable[Image] | AsyncIterable[Image]) -> AsyncIterator[bytes]:
    if isinstance(frames, AsyncIterable):
        async for frame in frames:
            yield await _encoded(frame)
    else:
        # The next one may be a while in coming.
        each = iter(frames)
        while (image := await asyncio.to_thread(_next_encoded, each)) is not None:
            yield image


def _next_encoded(frames: Iterator[Image]) -> bytes | None:
    for frame in frames:
        return encoded(frame)
    return None


def _headers(api_key: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    return {**(headers or {}), **({"Authorization": f"Bearer {api_key}"} if api_key else {})}


def _transport(url: str, headers: Mapping[str, str]) -> Transport:
    if _is_grpc(url):
        with needs("grpc"):
            from vitrail_client._grpc import GrpcTransport  # noqa: PLC0415  its library is an extra
        return GrpcTransport(url, headers)
    return RestTransport(url, headers)


def _async_transport(url: str, headers: Mapping[str, str]) -> AsyncTransport:
    if _is_grpc(url):
        with needs("grpc"):
            from vitrail_client._grpc_async import AsyncGrpcTransport  # noqa: PLC0415  its library is an extra
        return AsyncGrpcTransport(url, headers)
    return AsyncRestTransport(url, headers)


def _is_grpc(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.netloc:
        raise ValueError(f"{url!r} is no address: it begins with http://, https://, grpc:// or grpcs://")
    return parts.scheme.startswith("grpc")
