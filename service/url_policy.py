"""Which addresses callers may name: cameras to watch, videos to fetch, whom to tell of an end. By default none."""

import asyncio
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, Self

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
_TRANSLATED = ip_network("64:ff9b::/96")
"""IPv6 addresses behind which a translator reaches IPv4's, the private ones too."""


class Place(NamedTuple):
    """Where a URL leads."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class AllowedUrl:
    """One entry of the list: ``scheme://host[:port]``.

    ``host`` is a name, ``*.name`` for the names below it, an address, a network such as ``10.0.0.0/8`` (which no name
    is in, whatever it resolves to), or ``*`` for all. ``port`` is a number or ``*``; without one it is the scheme's.
    A name that is listed itself may lead anywhere. ``*`` and ``*.name`` lead to public addresses only, and to those of
    networks that are listed too: which names there are, and where they lead, strangers choose.
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

    def holds(self, place: Place) -> bool:
        """Whether a place is among those meant, as far as its name tells."""
        return self._is_way(place) and (
            self._is_meant(place.host) or (self._is_any(place.host) and _may_be_public(place))
        )

    def vouches(self, place: Place, address: str) -> bool:
        """Whether this entry lets a place be called at that address, to which its name leads."""
        if not self._is_way(place):
            return False
        if self.network is not None:
            return _is_within(address, self.network)
        return self.host == place.host or (self._is_any(place.host) and _is_public(ip_address(address)))

    def _is_way(self, place: Place) -> bool:
        return place.scheme == self.scheme and self.port in (None, place.port)

    def _is_meant(self, host: str) -> bool:
        return _is_within(host, self.network) if self.network is not None else self.host == host

    def _is_any(self, host: str) -> bool:
        return self.host == "*" or (self.host.startswith("*.") and host.endswith(self.host[1:]))


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
        place = _place(url)
        if not any(entry.holds(place) for entry in self._allowed):
            raise _forbidden(place, "its operator can allow that by --allowed-urls")

    async def address(self, url: str) -> str:
        """Look up where a URL leads, to call just that: a name that leads elsewhere a moment later does no harm.

        Raises:
            ServiceError: as `check` does; and forbidden where a name leads to private addresses, and neither it nor
                they are listed.
            OSError: nobody knows the name.
        """
        self.check(url)
        place = _place(url)
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        for *_, (address, *_) in found:
            plain = str(address).partition("%")[0]
            if any(entry.vouches(place, plain) for entry in self._allowed):
                return plain
        raise _forbidden(place, "its name leads to private addresses; its operator can list the name, or their network")


def _place(url: str) -> Place:
    """Where a URL leads, if all who read it read the same; ServiceError (invalid_parameters) otherwise."""
    found = _URL.fullmatch(url) if _PRINTABLE.fullmatch(url) else None
    scheme = found["scheme"].lower() if found is not None else ""
    if found is None or scheme not in PORTS:
        known = ", ".join(PORTS)
        raise ServiceError(
            ErrorKind.INVALID_PARAMETERS, f"{url[:_SHOWN]!r} is no address that is understood here; use {known}"
        )
    return Place(scheme, found["host"].strip("[]").lower(), int(found["port"] or PORTS[scheme]))


def _forbidden(place: Place, why: str) -> ServiceError:
    where = f"{place.scheme}://{place.host}:{place.port}"
    return ServiceError(ErrorKind.FORBIDDEN, f"the service may not call {where}; {why}")


def _may_be_public(place: Place) -> bool:
    """False for an address that is private; what a name leads to is seen when it is looked up."""
    try:
        return _is_public(ip_address(place.host))
    except ValueError:
        return _ends_in_letters(place.host)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of the internet, and carries no other within it."""
    if not address.is_global or address.is_multicast:
        return False
    if isinstance(address, IPv4Address):
        return True
    return address not in _TRANSLATED and not (address.ipv4_mapped or address.sixtofour or address.teredo)


def _ends_in_letters(host: str) -> bool:
    """False for an IPv4 address in another form: ``2130706433`` and ``127.1`` are loopback to some who read them."""
    return re.fullmatch("0x[0-9a-f]*|[0-9]+", host.rstrip(".").rpartition(".")[2]) is None


def _is_within(host: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(host) in network
    except ValueError:
        return False
