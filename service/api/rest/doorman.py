"""Turns requests away at the door while there is no room: before their routes are looked for and their bodies read.

Under overload most requests are refused, and what a refusal costs is taken from the answers of the others.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.tasks.table import TASKS
from service.api.rest.accounts import begin_account
from service.api.rest.last_answer import LastAnswer
from service.api.rest.problems import problem
from service.api.rest.refusals import is_long, refused
from service.errors import ServiceError
from service.inference import Inference
from service.security.caller import caller_of
from service.telemetry import Telemetry

_TASKS: Mapping[str, str] = {f"/v1/{task.task}": task.task for task in TASKS.values() if not task.clips}


class Doorman:
    """An ASGI application, behind a look at what is in flight."""

    def __init__(self, app: ASGIApp, inference: Inference, telemetry: Telemetry) -> None:
        self._app = app
        self._inference = inference
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"] in _TASKS and scope["method"] == "POST":
            try:
                self._inference.require_room(caller_of(scope).priority)
            except ServiceError as error:
                await self._refused(Request(scope), error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refused(self, request: Request, error: ServiceError) -> Response:
        path = request.scope["path"]
        account = begin_account(self._telemetry, request, _TASKS[path], path)
        response = refused(account, error, problem(error, account.id))
        return LastAnswer(response) if is_long(request) else response
