"""The way to the service over gRPC, asynchronous."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import grpc
from google.protobuf.message import Message

from vitrail_client._call import Answer, Call, Form, FrameAnswer
from vitrail_client._errors import VitrailError, unreachable
from vitrail_client._frames import Source
from vitrail_client._grpc_channel import (
    HEALTH_REQUEST,
    MODELS_NEED_REST,
    OPTIONS,
    SERVING,
    STREAM,
    error_of,
    frame_request,
    health,
    metadata_of,
    target_of,
    unary,
)
from vitrail_client._messages import answer_of, frame_of, method_of, request_of, start_of
from vitrail_client._no_rest import AsyncNoRest
from vitrail_client.proto import vision_pb2

_FAILED_TO_WRITE = "Internal error from Core"


class AsyncGrpcTransport:
    """See `AsyncTransport`; used within one event loop."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self.rest = AsyncNoRest()
        self._metadata = metadata_of(headers)
        self._methods: dict[str, Any] = {}

    @cached_property
    def _channel(self) -> grpc.aio.Channel:
        # A channel belongs to the event loop in which it is opened, and there may be none yet as the client is made.
        target, credentials = target_of(self._url)
        if credentials:
            return grpc.aio.secure_channel(target, credentials, OPTIONS)
        return grpc.aio.insecure_channel(target, OPTIONS)

    async def _send(self, call: Call, request: Message, timeout_s: float) -> Any:
        with self._translated(timeout_s):
            return await self._method(call)(request, timeout=timeout_s, metadata=self._metadata)

    def _method(self, call: Call) -> Any:
        name = method_of(call.task)
        if name not in self._methods:
            self._methods[name] = unary(self._channel, name)
        return self._methods[name]

    async def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""
        return answer_of(call, await self._send(call, request_of(call), timeout_s))

    async def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""
        picture: bytes = (await self._send(call, request_of(call, form), timeout_s)).picture
        return picture

    async def stream(self, call: Call, frames: AsyncIterator[bytes]) -> AsyncGenerator[FrameAnswer, None]:
        """See `Transport.stream`."""
        source = Source()
        start = start_of(call)
        stream = self._open(_requests(start, frames, source))
        try:
            async for response in stream:
                yield frame_of(call, response)
            source.check()
        except grpc.aio.AioRpcError as error:
            if error.details() == _FAILED_TO_WRITE:
                await self._raise_refusal(start)
                raise unreachable(self._url, "the stream was cut off") from error
            raise error_of(error, self._url, None) from error
        finally:
            stream.cancel()

    def _open(self, requests: AsyncIterator[vision_pb2.StreamFramesRequest]) -> Any:
        method = self._channel.stream_stream(
            STREAM,
            request_serializer=vision_pb2.StreamFramesRequest.SerializeToString,
            response_deserializer=vision_pb2.StreamFramesResponse.FromString,
        )
        return method(requests, metadata=self._metadata)

    async def _raise_refusal(self, start: vision_pb2.StreamFramesRequest) -> None:
        """Raise why the service takes no such stream, by beginning one without frames.

        Where the service ends a stream while a frame is written, grpc.aio tells of its own failure to write only.
        """
        with self._translated(None):
            async for _ in self._open(_requests(start, _nothing(), Source())):
                pass

    async def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """No list: the service has none over gRPC."""
        del timeout_s
        raise VitrailError(MODELS_NEED_REST, code="unsupported")

    async def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""
        with self._translated(timeout_s):
            answer = await health(self._channel)(HEALTH_REQUEST, timeout=timeout_s)
        return bool(answer.status == SERVING)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._channel.close()

    @contextmanager
    def _translated(self, timeout_s: float | None) -> Iterator[None]:
        try:
            yield
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self._url, timeout_s) from error


async def _requests(
    start: vision_pb2.StreamFramesRequest, frames: AsyncIterator[bytes], source: Source
) -> AsyncIterator[vision_pb2.StreamFramesRequest]:
    yield start
    number = 0
    async for image in source.take_async(frames):
        yield frame_request(number, image)
        number += 1


async def _nothing() -> AsyncIterator[bytes]:
    nothing: tuple[bytes, ...] = ()
    for image in nothing:
        yield image
