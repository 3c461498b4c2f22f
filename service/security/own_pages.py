"""What pages of other sites may do through somebody's browser: by default, nothing that matters."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from service.errors import ErrorKind, ServiceError


class OwnPages:
    """Tells the service's own pages, and those of sites that its operator names, from all others."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        """``origins`` are like ``https://app.example.com``; ``*`` means all."""
        self._origins = frozenset(origin.lower() for origin in origins)

    def require(self, headers: Mapping[str, str]) -> None:
        """ServiceError (forbidden) for a request that another site's page sends; headers by name in lower case."""
        origin = headers.get("origin")
        if origin is None or not self._origins.isdisjoint((origin.lower(), "*")):
            return
        require_own_page(headers)


def require_own_page(headers: Mapping[str, str]) -> None:
    """Refuse what another site's page sends through somebody's browser."""
    origin = headers.get("origin")
    if origin is not None and _place(origin) != headers.get("host", ""):
        why = "pages of other sites may not do that; a proxy between must keep the Host header"
        raise ServiceError(ErrorKind.FORBIDDEN, why)


def _place(origin: str) -> str | None:
    """Host and port of a page; None where it makes no sense, and so is no page of the service's."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
