"""Errors as RFC 9457 problem documents, and the one table from kind to status."""

from http import HTTPStatus

import orjson
from starlette.responses import Response

from service.errors import ErrorKind, ServiceError

STATUS: dict[ErrorKind, int] = {
    ErrorKind.INVALID_IMAGE: 422,
    ErrorKind.INVALID_VIDEO: 422,
    ErrorKind.INVALID_PARAMETERS: 422,
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNAUTHENTICATED: 401,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.MODEL_NOT_FOUND: 404,
    ErrorKind.VERSION_NOT_READY: 409,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.OVERLOADED: 429,
    ErrorKind.STORAGE_FULL: 507,
    ErrorKind.DEADLINE_EXCEEDED: 504,
    ErrorKind.CANCELLED: 499,
    ErrorKind.ENGINE_UNAVAILABLE: 503,
    ErrorKind.INTERNAL: 500,
}

_TITLES: dict[ErrorKind, str] = {
    ErrorKind.INVALID_IMAGE: "The image cannot be read",
    ErrorKind.INVALID_VIDEO: "The video cannot be read",
    ErrorKind.INVALID_PARAMETERS: "The request makes no sense",
    ErrorKind.UNSUPPORTED_MEDIA_TYPE: "The body is of a type that is not taken",
    ErrorKind.TOO_LARGE: "The request is too large",
    ErrorKind.UNAUTHENTICATED: "Who are you?",
    ErrorKind.FORBIDDEN: "That is not allowed",
    ErrorKind.MODEL_NOT_FOUND: "There is no such model",
    ErrorKind.VERSION_NOT_READY: "The version takes no traffic",
    ErrorKind.NOT_FOUND: "There is no such thing",
    ErrorKind.CONFLICT: "Not as things stand",
    ErrorKind.RATE_LIMITED: "Too many requests",
    ErrorKind.OVERLOADED: "The service is busy",
    ErrorKind.STORAGE_FULL: "The disk is full",
    ErrorKind.DEADLINE_EXCEEDED: "Time is up",
    ErrorKind.CANCELLED: "The caller has left",
    ErrorKind.ENGINE_UNAVAILABLE: "The engine cannot answer now",
    ErrorKind.INTERNAL: "Something went wrong here",
}

MEDIA_TYPE = "application/problem+json"


def problem(error: ServiceError, request_id: str) -> Response:
    """The response that tells a caller of an error."""
    response = _document(STATUS[error.kind], _TITLES[error.kind], error.message, error.kind, request_id)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.kind is ErrorKind.UNAUTHENTICATED:
        # RFC 9110, section 11.6.1, wants it.
        response.headers["WWW-Authenticate"] = 'Bearer realm="vitrail"'
    return response


def http_problem(status: int, request_id: str) -> Response:
    """The response for what the routes do not know: a path or a method."""
    phrase = HTTPStatus(status).phrase
    detail = f"{phrase}; the routes are described at /docs"
    return _document(status, phrase, detail, phrase.lower().replace(" ", "_"), request_id)


def _document(status: int, title: str, detail: str, code: str, request_id: str) -> Response:
    body = {
        "type": f"urn:vitrail:error:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    }
    return Response(orjson.dumps(body), status, {"X-Request-Id": request_id}, MEDIA_TYPE)
