"""What every refused request leaves behind: its account, and a closed connection where its body is unread."""

from starlette.requests import Request
from starlette.responses import Response

from service.errors import ErrorKind, ServiceError
from service.telemetry import Account

_BODY_UNREAD = (ErrorKind.TOO_LARGE, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.UNSUPPORTED_MEDIA_TYPE)

_SHORT = 1 << 20
"""Bytes of a body that are sooner read, and thrown away, than a new connection is made."""


def refused(account: Account, error: ServiceError, response: Response) -> Response:
    """The response, with the refusal noted."""
    account.refused(error, str(response.status_code))
    if error.kind in _BODY_UNREAD:
        # The rest of the body may still be on its way; nobody will read it.
        response.headers["Connection"] = "close"
    return response


def is_long(request: Request) -> bool:
    """Whether a request's body, by what is said of it, is too long to be read only to be thrown away."""
    declared = request.headers.get("content-length", "")
    return not declared.isdecimal() or int(declared) > _SHORT
