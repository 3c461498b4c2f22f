"""The table from kinds of error to gRPC's status codes."""

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from service.api.grpc.errors import CODES, trailers
from service.errors import ErrorKind, ServiceError

DOCUMENTED = {
    "invalid_image": "INVALID_ARGUMENT",
    "invalid_video": "INVALID_ARGUMENT",
    "invalid_parameters": "INVALID_ARGUMENT",
    "unsupported_media_type": "INVALID_ARGUMENT",
    "too_large": "RESOURCE_EXHAUSTED",
    "unauthenticated": "UNAUTHENTICATED",
    "forbidden": "PERMISSION_DENIED",
    "model_not_found": "NOT_FOUND",
    "version_not_ready": "FAILED_PRECONDITION",
    "not_found": "NOT_FOUND",
    "conflict": "FAILED_PRECONDITION",
    "rate_limited": "RESOURCE_EXHAUSTED",
    "overloaded": "RESOURCE_EXHAUSTED",
    "storage_full": "RESOURCE_EXHAUSTED",
    "deadline_exceeded": "DEADLINE_EXCEEDED",
    "cancelled": "CANCELLED",
    "engine_unavailable": "UNAVAILABLE",
    "internal": "INTERNAL",
}


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_has_a_code(kind: ErrorKind) -> None:
    """No kind of error is without a status, and none is OK or UNKNOWN."""
    assert CODES[kind] not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)


def test_codes_are_the_documented_ones() -> None:
    """The table is the one of the API's documentation."""
    assert {kind.value: code.name for kind, code in CODES.items()} == DOCUMENTED


@pytest.mark.parametrize("kind", ErrorKind)
def test_details(kind: ErrorKind) -> None:
    """The details agree with the status, and name the kind."""
    trailing = dict(trailers(ServiceError(kind, "no"), "mine"))
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (status.code, status.message, info.reason) == (CODES[kind].value[0], "no", kind.value)
    assert trailing["x-request-id"] == "mine"


def test_when_to_try_again() -> None:
    """An error that passes says when to come back."""
    trailing = dict(trailers(ServiceError(ErrorKind.OVERLOADED, "busy", retry_after_s=1.5), "mine"))
    retry = error_details_pb2.RetryInfo()
    assert status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 1500
