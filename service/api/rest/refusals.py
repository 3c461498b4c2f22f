"""What every refused request leaves behind: a count, a line in the log if it is our fault, a closed connection."""

import logging

from starlette.responses import Response

from service.errors import ErrorKind, ServiceError
from service.telemetry import Telemetry

_log = logging.getLogger("vitrail.rest")

_BODY_UNREAD = (ErrorKind.TOO_LARGE, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.UNSUPPORTED_MEDIA_TYPE)


def refused(telemetry: Telemetry, task: str, error: ServiceError, request_id: str, response: Response) -> Response:
    """The response, with the refusal of a request for ``task`` noted; the task is empty where nobody knows it yet."""
    if error.kind is ErrorKind.INTERNAL:
        _log.error("request %s failed: %s", request_id, error, exc_info=error)
    telemetry.rejections.labels(task, error.kind).inc()
    # The model may be any string that a caller made up, so it is no label here.
    telemetry.requests.labels(task, "", "", str(response.status_code)).inc()
    if error.kind in _BODY_UNREAD:
        # The rest of the body may still be on its way; nobody will read it.
        response.headers["Connection"] = "close"
    return response
