"""What plain and asynchronous gRPC share: where and how to connect, what to send along, and what errors mean."""

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import grpc
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2

from vitrail_client._errors import VitrailError, deadline_exceeded, unreachable
from vitrail_client._messages import SERVICE
from vitrail_client.proto import vision_pb2

STREAM = f"/{SERVICE.full_name}/StreamFrames"
MODELS_NEED_REST = "models are listed over REST: give the client an address http://host:port"

OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
"""Maps may be large; the service has its own limit for what it takes."""

_DETAILS = "grpc-status-details-bin"
_CODES = {
    grpc.StatusCode.DEADLINE_EXCEEDED: "deadline_exceeded",
    grpc.StatusCode.CANCELLED: "cancelled",
    grpc.StatusCode.UNAVAILABLE: "unreachable",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "overloaded",
}
"""Kinds of what gRPC itself says, without the service's details."""


def target_of(url: str) -> tuple[str, grpc.ChannelCredentials | None]:
    """The host and port of an address, and what secures the channel."""
    parts = urlsplit(url)
    return parts.netloc, grpc.ssl_channel_credentials() if parts.scheme == "grpcs" else None


def metadata_of(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers as gRPC's metadata, whose names are in lower case."""
    return tuple((name.lower(), value) for name, value in headers.items())


def unary(channel: grpc.Channel | grpc.aio.Channel, name: str) -> Any:
    """A call of the service by its name."""
    described = SERVICE.methods_by_name[name]
    return channel.unary_unary(
        f"/{SERVICE.full_name}/{name}",
        request_serializer=GetMessageClass(described.input_type).SerializeToString,
        response_deserializer=GetMessageClass(described.output_type).FromString,
    )


def health(channel: grpc.Channel | grpc.aio.Channel) -> Any:
    """The call that tells of the service's health."""
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )


HEALTH_REQUEST = health_pb2.HealthCheckRequest(service=SERVICE.full_name)
SERVING = health_pb2.HealthCheckResponse.SERVING


def frame_request(number: int, image: bytes) -> vision_pb2.StreamFramesRequest:
    """A frame as a message of a stream."""
    return vision_pb2.StreamFramesRequest(frame=vision_pb2.Frame(image=image, id=number))


def error_of(error: grpc.RpcError, url: str, timeout_s: float | None) -> VitrailError:
    """The client's error for gRPC's."""
    status = error.code()
    trailing: dict[str, Any] = dict(cast("Any", error.trailing_metadata()) or ())
    reason, retry_after_s = _details(trailing.get(_DETAILS, b""))
    if not reason and status is grpc.StatusCode.DEADLINE_EXCEEDED and timeout_s is not None:
        return deadline_exceeded(timeout_s)
    if not reason and status is grpc.StatusCode.UNAVAILABLE:
        return unreachable(url, error.details())
    return VitrailError(
        error.details() or status.name,
        code=reason or _CODES.get(status, "unexpected_answer"),
        status=status.name,
        request_id=trailing.get("x-request-id"),
        retry_after_s=retry_after_s,
    )


def _details(packed: bytes) -> tuple[str, float | None]:
    """The service's kind of error, and the seconds after which to try again."""
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    again = False
    for detail in status_pb2.Status.FromString(packed).details:
        detail.Unpack(info)
        again = detail.Unpack(retry) or again
    return info.reason, retry.retry_delay.ToTimedelta().total_seconds() if again else None
