"""The way to the service over gRPC."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import Message

from vitrail_client._call import Answer, Call, Form, FrameAnswer
from vitrail_client._errors import VitrailError
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
from vitrail_client._messages import SERVICE, answer_of, frame_of, method_of, request_of, start_of
from vitrail_client._no_rest import NoRest
from vitrail_client.proto import vision_pb2


class GrpcTransport:
    """See `Transport`."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        target, credentials = target_of(url)
        self._url = url
        self.rest = NoRest()
        self._metadata = metadata_of(headers)
        self._channel = (
            grpc.secure_channel(target, credentials, OPTIONS) if credentials else grpc.insecure_channel(target, OPTIONS)
        )
        self._methods = {name: unary(self._channel, name) for name in SERVICE.methods_by_name}

    def _send(self, call: Call, request: Message, timeout_s: float) -> Any:
        with self._translated(timeout_s):
            return self._methods[method_of(call.task)](request, timeout=timeout_s, metadata=self._metadata)

    def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""
        return answer_of(call, self._send(call, request_of(call), timeout_s))

    def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""
        picture: bytes = self._send(call, request_of(call, form), timeout_s).picture
        return picture

    def stream(self, call: Call, frames: Iterator[bytes]) -> Generator[FrameAnswer, None, None]:
        """See `Transport.stream`."""
        source, start = Source(), start_of(call)

        def requests() -> Iterator[vision_pb2.StreamFramesRequest]:
            yield start
            for number, image in enumerate(source.take(frames)):
                yield frame_request(number, image)

        stream = self._channel.stream_stream(
            STREAM,
            request_serializer=vision_pb2.StreamFramesRequest.SerializeToString,
            response_deserializer=vision_pb2.StreamFramesResponse.FromString,
        )(requests(), metadata=self._metadata)
        try:
            with self._translated(None):
                for response in stream:
                    yield frame_of(call, response)
            source.check()
        finally:
            stream.cancel()

    def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """No list: the service has none over gRPC."""
        del timeout_s
        raise VitrailError(MODELS_NEED_REST, code="unsupported")

    def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""
        with self._translated(timeout_s):
            answer = health(self._channel)(HEALTH_REQUEST, timeout=timeout_s)
        return bool(answer.status == SERVING)

    def close(self) -> None:
        """See `Transport.close`."""
        self._channel.close()

    @contextmanager
    def _translated(self, timeout_s: float | None) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise error_of(error, self._url, timeout_s) from error
