"""The answer to a path that no route has, or to a method that the path's routes do not have."""

from collections.abc import Iterable

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from service.api.rest.predict import request_id_of
from service.api.rest.problems import http_problem

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


def missed(request: Request, error: HTTPException) -> Response:
    """A problem document, under ``/v2`` an error in that protocol's form; 405 says which methods there are."""
    path = request.url.path
    if path == "/v2" or path.startswith("/v2/"):
        content = {"error": f"{request.method} {path[:128]} is not offered; see /docs for what is"}
        response = Response(orjson.dumps(content), error.status_code, media_type="application/json")
    else:
        response = http_problem(error.status_code, request_id_of(request))
    response.headers.update(error.headers or {})
    if error.status_code == 405 and (allowed := _allowed(request)):
        response.headers["Allow"] = allowed
    return response


def _allowed(request: Request) -> str:
    """The methods of all routes that the path has: the router itself names those of the first; of a file, none."""
    routes: Iterable[BaseRoute] = request.app.routes
    scopes = ({**request.scope, "method": method} for method in _METHODS)
    return ", ".join(
        scope["method"] for scope in scopes if any(route.matches(scope)[0] is Match.FULL for route in routes)
    )
