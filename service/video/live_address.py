"""The address of a live source: which are taken, and how they are shown to others than their caller."""

import re
from typing import Final, Protocol
from urllib.parse import parse_qsl, urlsplit, urlunsplit

SCHEMES: Final = ("rtsp", "rtsps", "http", "https")
MAX_LENGTH: Final = 2048
_HIDDEN = "..."
_NAMES = "user|usr|login|account|pass|pwd|token|key|auth|secret|sign|session"
_SECRET = re.compile(_NAMES, re.IGNORECASE)
"""Names of query parameters by which cameras let their callers in …"""
_IN_PATH = re.compile(rf"((?:{_NAMES})[a-z]*=)[^/&;]*?(?=_[a-z]+=|[/&;]|$)", re.IGNORECASE)
"""… and some want them in the path: ``/user=admin_password=word_channel=1_stream=0.sdp``."""
_STRANGE = re.compile(r"[\x00-\x20\x7f\\]")
"""What readers of addresses do not all read alike."""


class AddressPolicy(Protocol):
    """Which addresses a caller may name at all."""

    def check(self, url: str) -> None:
        """Raises ServiceError (forbidden) for one that is not allowed."""

    async def address(self, url: str) -> str:
        """Where it leads; raises ServiceError (forbidden) where that is not allowed, OSError where nobody knows."""


def checked_address(url: str) -> str:
    """The address, if it is one of a live source; ValueError says what is wrong."""
    if len(url) > MAX_LENGTH or _STRANGE.search(url):
        raise ValueError(f"an address has at most {MAX_LENGTH} letters, and no spaces or backslashes")
    parts = urlsplit(url)
    # Reading the port checks it.
    if parts.scheme.lower() not in SCHEMES or not parts.hostname or parts.port == 0:
        raise ValueError(f"an address begins with one of {', '.join(f'{name}://' for name in SCHEMES)}, and has a host")
    return url


def shown_address(url: str) -> str:
    """The address without user, password, fragment, and the values in its path and query that look like secrets."""
    parts = urlsplit(url)
    query = "&".join(
        f"{name}={_HIDDEN if _SECRET.search(name) else value}"
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    path = _IN_PATH.sub(rf"\1{_HIDDEN}", parts.path)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, query, ""))
