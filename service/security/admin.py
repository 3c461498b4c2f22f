"""Who may change what is served."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from service.errors import ErrorKind, ServiceError
from service.security.caller import ANYONE, Caller
from service.security.own_pages import require_own_page

_BEARER = "bearer "
_FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


class AdminAccess:
    """Lets callers change things who bring the key or have the scope or, where there is neither, sit at this machine.

    Where callers say who they are, that goes before: the key then makes its bringer a caller with all scopes.
    """

    def __init__(self, key: str | None, *, keyed: bool = False) -> None:
        """``keyed``: callers are asked who they are, see `service.security.gate`."""
        self._key = key.encode() if key else None
        self._keyed = keyed

    def require(self, headers: Mapping[str, str], peer: str | None, caller: Caller = ANYONE) -> str:
        """Who it is, for the audit log; ServiceError (unauthenticated or forbidden) for everybody else.

        Args:
            headers: the request's, by name in lower case.
            peer: the address that the request came from; None if nobody knows.
            caller: who was found to ask.
        """
        require_own_page(headers)
        if self._keyed:
            if not caller.is_admin:
                raise ServiceError(ErrorKind.FORBIDDEN, f"that needs the scope admin, which {caller.id!r} has not")
            return caller.id
        if self._key is None:
            if not _is_here(headers, peer):
                why = (
                    "without an --admin-key only callers at the service's own machine may change anything, and they "
                    "call it localhost, 127.0.0.1 or [::1]"
                )
                raise ServiceError(ErrorKind.FORBIDDEN, why)
            return "this machine"
        given = headers.get("authorization", "")
        if not given.lower().startswith(_BEARER):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "send the admin key as 'Authorization: Bearer KEY'")
        if not hmac.compare_digest(given[len(_BEARER) :].strip().encode(), self._key):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "that is not the admin key")
        return "admin key"


def _is_here(headers: Mapping[str, str], peer: str | None) -> bool:
    """Whether a request comes from this machine itself, and neither through a proxy on it nor by a stranger's name.

    A page whose own name is made to lead to this machine (DNS rebinding) is to the browser one of the service's: it
    gives away nothing but the name that the page was called by.
    """
    if peer is None or any(name in headers for name in _FORWARDED):
        return False
    return _is_loopback(peer) and _is_loopback(_named(headers.get("host", "localhost")))


def _named(host: str) -> str:
    """The name of a Host header, without its port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return "127.0.0.1" if name.lower() == "localhost" else name


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
