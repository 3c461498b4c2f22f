"""Who may change what is served."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from service.errors import ErrorKind, ServiceError

_BEARER = "bearer "
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class AdminAccess:
    """Lets callers change things who bring the key or, where there is none, who sit at this machine."""

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key else None

    def require(self, headers: Mapping[str, str], peer: str | None) -> None:
        """ServiceError (unauthenticated or forbidden) for everybody else.

        Args:
            headers: the request's, by name in lower case.
            peer: the address that the request came from; None if nobody knows.
        """
        require_own_page(headers)
        if self._key is None:
            if not _is_here(headers, peer):
                why = "without an --admin-key only callers at the service's own machine may change anything"
                raise ServiceError(ErrorKind.FORBIDDEN, why)
            return
        given = headers.get("authorization", "")
        if not given.lower().startswith(_BEARER):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "send the admin key as 'Authorization: Bearer KEY'")
        if not hmac.compare_digest(given[len(_BEARER) :].strip().encode(), self._key):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "that is not the admin key")


def require_own_page(headers: Mapping[str, str]) -> None:
    """Refuse what another site's page sends through somebody's browser."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        raise ServiceError(ErrorKind.FORBIDDEN, "pages of other sites may not change anything")


def _is_here(headers: Mapping[str, str], peer: str | None) -> bool:
    """Whether a request comes from this machine itself, and not through a proxy on it."""
    if peer is None or any(name in headers for name in _FORWARDED):
        return False
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
