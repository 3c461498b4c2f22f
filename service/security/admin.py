"""Who may change what is served."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address

from service.errors import ErrorKind, ServiceError
from service.security.caller import ANYONE, Caller
from service.security.own_pages import require_own_page

_BEARER = "bearer "
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


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
                why = "without an --admin-key only callers at the service's own machine may change anything"
                raise ServiceError(ErrorKind.FORBIDDEN, why)
            return "this machine"
        given = headers.get("authorization", "")
        if not given.lower().startswith(_BEARER):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "send the admin key as 'Authorization: Bearer KEY'")
        if not hmac.compare_digest(given[len(_BEARER) :].strip().encode(), self._key):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "that is not the admin key")
        return "admin key"


def _is_here(headers: Mapping[str, str], peer: str | None) -> bool:
    """Whether a request comes from this machine itself, and not through a proxy on it."""
    if peer is None or any(name in headers for name in _FORWARDED):
        return False
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
