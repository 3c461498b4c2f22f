"""A route whose errors are told as problem documents."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.api.rest.predict import request_id_of
from service.api.rest.problems import problem
from service.errors import ErrorKind, ServiceError

Work = Callable[[Request], Awaitable[Response]]


def _nothing(_: Request) -> None: ...


def guarded(work: Work, require: Callable[[Request], None] = _nothing) -> Any:
    """The route that does the work; ``require`` is asked first, and refuses by raising ServiceError too."""

    async def route(request: Request) -> Response:
        try:
            require(request)
            return await work(request)
        except ServiceError as error:
            return problem(error, request_id_of(request))
        except ClientDisconnect:
            return problem(ServiceError(ErrorKind.CANCELLED, "the caller has left"), request_id_of(request))

    return route
