"""Which addresses callers may name: cameras to watch, videos to fetch, whom to tell of an end. By default none."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

from service.errors import ErrorKind, ServiceError

PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
"""The schemes that there are, and their usual ports."""

_HOST = r"(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)"
_PATTERN = re.compile(rf"(?P<scheme>[a-z]+)://(?P<host>\*|\*\.{_HOST}|{_HOST})(?P<bits>/\d+)?(?::(?P<port>\*|\d+))?/?")
# Narrower than any standard: where two readers could see different hosts in one address, there is no address.
_URL = re.compile(
    rf"(?P<scheme>[a-z]+)://(?:[^@/?#\\]*@)?(?P<host>{_HOST})\.?(?::(?P<port>\d{{1,5}}))?(?:[/?#][^\\]*)?",
    re.IGNORECASE,
)
_PRINTABLE = re.compile(r"[!-~]+")
_SHOWN = 128


@dataclass(frozen=True, slots=True)
class AllowedUrl:
    """One entry of the list: ``scheme://host[:port]``.

    ``host`` is a name, ``*.name`` for the names below it, an address, a network such as ``10.0.0.0/8`` (which no name
    is in, whatever it resolves to), or ``*`` for all. ``port`` is a number or ``*``; without one it is the scheme's.
    """

    scheme: str
    host: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one; ValueError says what is wrong with it."""
        found = _PATTERN.fullmatch(text.lower())
        if found is None or found["scheme"] not in PORTS:
            raise ValueError(f"{text!r} is not like scheme://host:port, with {', '.join(PORTS)} as the scheme")
        port = PORTS[found["scheme"]] if found["port"] is None else found["port"]
        host = found["host"].strip("[]")
        network = ip_network(host + found["bits"]) if found["bits"] else None
        return cls(found["scheme"], host, network, None if port == "*" else int(port))

    def holds(self, scheme: str, host: str, port: int) -> bool:
        """Whether an address is among those meant."""
        return scheme == self.scheme and self.port in (None, port) and self._is_host(host)

    def _is_host(self, host: str) -> bool:
        if self.network is not None:
            return _is_within(host, self.network)
        return self.host in {"*", host} or (self.host.startswith("*.") and host.endswith(self.host[1:]))


class UrlPolicy:
    """Lets pass what the operator has listed."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """ValueError for an entry that is none; see `AllowedUrl`."""
        self._allowed = [AllowedUrl.parse(text) for text in allowed]

    @classmethod
    def of(cls, text: str) -> Self:
        """From a list with commas; ValueError for an entry that is none."""
        return cls(entry for part in text.split(",") if (entry := part.strip()))

    def check(self, url: str) -> None:
        """Raise ServiceError: invalid_parameters for what is no address, forbidden for one that is not listed."""
        found = _URL.fullmatch(url) if _PRINTABLE.fullmatch(url) else None
        scheme = found["scheme"].lower() if found is not None else ""
        if found is None or scheme not in PORTS:
            known = ", ".join(PORTS)
            raise ServiceError(
                ErrorKind.INVALID_PARAMETERS, f"{url[:_SHOWN]!r} is no address that is understood here; use {known}"
            )
        host, port = found["host"].strip("[]").lower(), int(found["port"] or PORTS[scheme])
        if not any(entry.holds(scheme, host, port) for entry in self._allowed):
            why = f"the service may not call {scheme}://{host}:{port}; its operator can allow that by --allowed-urls"
            raise ServiceError(ErrorKind.FORBIDDEN, why)


def _is_within(host: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        return False
