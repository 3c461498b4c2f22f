"""Where HTTP and WebSocket come in: nobody gets behind it who may not; see `service.security.gate`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from service.api.request_id import request_id
from service.api.rest.accounts import begin_account
from service.api.rest.last_answer import LastAnswer
from service.api.rest.problems import STATUS, problem
from service.api.rest.refusals import is_long
from service.api.websocket import SUBPROTOCOL, refuse
from service.errors import ServiceError
from service.security import audit
from service.security.caller import CALLER
from service.security.caller import Scope as Right
from service.security.gate import Gate, credential_of
from service.security.meter import Quota, TooMany
from service.telemetry import Telemetry, Transport

OPEN = frozenset(
    {
        "/",
        "/dashboard",
        "/docs",
        "/docs/oauth2-redirect",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/v2/health/live",
        "/v2/health/ready",
    }
)
"""What anybody may read: pages, which hold nothing but themselves, and what probes ask, which bring no keys."""
OPEN_FOLDERS = ("/web/", "/static-offline-docs/")
FIGURES = frozenset({"/metrics", "/v1/history"})
"""What tells of all callers' requests together."""

_ASKS = frozenset({Right.INFER})
_ANSWERS = frozenset({Right.INFER, Right.ADMIN})
_TELLS = frozenset({Right.METRICS, Right.ADMIN})
_NAMES = {b"authorization": "authorization", b"x-api-key": "x-api-key"}
_PROTOCOL_BEARER = "vitrail.bearer."
"""What stands before a key among the protocols that a browser's WebSocket offers: it can send no header of its own."""
_STALL_S = 10.0


@dataclass(frozen=True, slots=True)
class Entrance:
    """An ASGI application behind the gate."""

    app: ASGIApp
    gate: Gate
    telemetry: Telemetry
    open_paths: frozenset[str] = field(default=OPEN)
    changes: Sequence[BaseRoute] = ()
    """The routes that change what is served: who is turned away from them here is noted as who is within."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        kind, path = scope["type"], scope.get("path", "")
        if kind == "lifespan" or path in self.open_paths or path.startswith(OPEN_FOLDERS):
            await self.app(scope, receive, send)
        elif kind == "http":
            await self._http(scope, receive, send)
        else:
            await self._stream(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _credentials(scope["headers"])
        try:
            needed = needed_for(scope["path"], scope["method"])
            admitted = await self.gate.admit(credential_of(headers), _peer(scope), needed)
        except ServiceError as error:
            response = self._refused(Request(scope), error)
            await response(scope, receive, _telling(send, error.quota) if isinstance(error, TooMany) else send)
            return
        scope[CALLER] = admitted.caller
        try:
            await self.app(scope, receive, send if admitted.quota is None else _telling(send, admitted.quota))
        finally:
            self.gate.leave(admitted)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _credentials(scope["headers"])
        credential = credential_of(headers) or _among_protocols(scope.get("subprotocols", ()))
        try:
            admitted = await self.gate.admit(credential, _peer(scope), _ASKS)
        except ServiceError as error:
            await self._refuse_stream(WebSocket(scope, receive, send), error)
            return
        scope[CALLER] = admitted.caller
        try:
            await self.app(scope, receive, send)
        finally:
            self.gate.leave(admitted)

    def _refused(self, request: Request, error: ServiceError) -> Response:
        path = request.scope["path"]
        account = begin_account(self.telemetry, request, "", path)
        account.refused(error, str(STATUS[error.kind]))
        self._note(request.scope, error, account.id)
        response = problem(error, account.id)
        if path == "/v2" or path.startswith("/v2/"):
            # That protocol's clients know errors in its own form only.
            told = Response(orjson.dumps({"error": error.message}), response.status_code, media_type="application/json")
            for name in ("x-request-id", "retry-after", "www-authenticate"):
                if name in response.headers:
                    told.headers[name] = response.headers[name]
            response = told
        return LastAnswer(response) if _has_long_body(request) else response

    def _note(self, scope: Scope, error: ServiceError, request_id: str) -> None:
        for route in self.changes:
            if route.matches(scope)[0] is Match.FULL:
                audit.note(
                    who="unknown",
                    peer=_peer(scope),
                    action=getattr(route, "name", ""),
                    target=scope["path"],
                    outcome=error.kind.value,
                    request_id=request_id,
                )

    async def _refuse_stream(self, socket: WebSocket, error: ServiceError) -> None:
        stream_id = request_id(socket.headers.get("x-request-id"))
        account = self.telemetry.account(Transport.WEBSOCKET, "", stream_id, socket.headers, socket.scope["path"])
        account.refused(error, str(STATUS[error.kind]))
        # Refusing the handshake would tell a script in a browser nothing but that it failed; so errors are told after.
        offered = socket.scope.get("subprotocols", ())
        named = [(b"x-request-id", stream_id.encode("latin-1", "replace"))]
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None, named)
        await refuse(socket, error, _STALL_S)


def needed_for(path: str, method: str) -> frozenset[str]:
    """The scopes of which a caller needs one; what changes something asks for more by itself."""
    # A route is found with the end of a line behind its path too: `$` in its pattern stands before one.
    if path.removesuffix("\n") in FIGURES:
        return _TELLS
    # A POST asks models, at once or by the job or stream that it begins, unless it says behind a colon what else is to
    # be done.
    return _ASKS if method == "POST" and ":" not in path.rpartition("/")[2] else _ANSWERS


def _credentials(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {_NAMES[name]: value.decode("latin-1") for name, value in headers if name in _NAMES}


def _among_protocols(offered: Iterable[str]) -> str | None:
    for protocol in offered:
        if protocol.startswith(_PROTOCOL_BEARER):
            return protocol[len(_PROTOCOL_BEARER) :]
    return None


def _peer(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


def _has_long_body(request: Request) -> bool:
    """Whether there is more to come than is passed over for the sake of the connection."""
    headers = request.headers
    return ("content-length" in headers or "transfer-encoding" in headers) and is_long(request)


def _telling(send: Send, quota: Quota) -> Send:
    """Tell with the answer what the caller may still ask for, as draft-ietf-httpapi-ratelimit-headers-10 has it."""
    told = [
        (b"ratelimit-policy", b'"caller";q=%d;w=%d' % (quota.rate.count, quota.rate.seconds)),
        (b"ratelimit", b'"caller";r=%d;t=%d' % (quota.remaining, -int(-quota.reset_s // 1))),
    ]

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *told]
        await send(message)

    return tell
