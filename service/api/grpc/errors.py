"""Errors as gRPC tells of them, and the one table from kind to status code."""

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2, error_details_pb2, status_pb2

from service.errors import ErrorKind, ServiceError

CODES: dict[ErrorKind, grpc.StatusCode] = {
    ErrorKind.INVALID_IMAGE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.INVALID_VIDEO: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.INVALID_PARAMETERS: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorKind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    ErrorKind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    ErrorKind.MODEL_NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.VERSION_NOT_READY: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    ErrorKind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorKind.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.OVERLOADED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.STORAGE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorKind.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    ErrorKind.CANCELLED: grpc.StatusCode.CANCELLED,
    ErrorKind.ENGINE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    ErrorKind.INTERNAL: grpc.StatusCode.INTERNAL,
}

DOMAIN = "vitrail"
"""Whose kinds of error the reasons are; see google.rpc.ErrorInfo."""
_DETAILS = "grpc-status-details-bin"


def trailers(error: ServiceError, request_id: str) -> tuple[tuple[str, str | bytes], ...]:
    """The metadata that ends a call by an error: the request's id, the kind, and when to try again."""
    details = [_packed(error_details_pb2.ErrorInfo(reason=error.kind, domain=DOMAIN))]
    if error.retry_after_s is not None:
        delay = Duration()
        delay.FromMilliseconds(round(error.retry_after_s * 1e3))
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    code = code_pb2.Code.Value(CODES[error.kind].name)
    status = status_pb2.Status(code=code, message=error.message, details=details)
    return (("x-request-id", request_id), (_DETAILS, status.SerializeToString()))


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed
