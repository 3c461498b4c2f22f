"""The account of a request over REST: begun with its first byte, found again where an error was not foreseen."""

from starlette.requests import Request

from service.api.request_id import request_id
from service.api.rest.wire import BEGUN
from service.telemetry import Account, Telemetry, Transport

_ACCOUNT = "vitrail.account"


def begin_account(telemetry: Telemetry, request: Request, task: str, path: str) -> Account:
    """Begin it; ``path`` is the route's, as the span names it, and the task is empty while nobody knows."""
    account = telemetry.account(
        Transport.REST,
        task,
        request_id(request.headers.get("x-request-id")),
        request.headers,
        f"{request.method} {path}",
        # Where no connection of ours is below, as in tests, it begins now.
        begun=request.scope.get(BEGUN),
    )
    request.scope[_ACCOUNT] = account
    return account


def account_of(request: Request) -> Account | None:
    """The account of a request that has one."""
    account: Account | None = request.scope.get(_ACCOUNT)
    return account
