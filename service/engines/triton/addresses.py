"""Which replicas there are: fixed addresses, or all that a name stands for at the moment."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Host and port → ``address:port`` of each replica; OSError where the name cannot be resolved."""

_DNS = "dns:///"


async def look_up(host: str, port: int) -> list[str]:
    """All addresses of a name, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return sorted({_joined(str(entry[4][0]), port) for entry in found})


def is_name(url: str) -> bool:
    """Whether a URL stands for a changing set of replicas."""
    return url.startswith(_DNS)


async def addresses(urls: Sequence[str], lookup: Lookup) -> list[str]:
    """Every replica's address, once, in the order of the URLs; OSError where a name cannot be resolved."""
    found: dict[str, None] = {}
    for url in urls:
        if is_name(url):
            host, port = _split(url.removeprefix(_DNS))
            found.update(dict.fromkeys(await lookup(host, port)))
        else:
            found[_joined(*_split(url))] = None
    return list(found)


def _split(text: str) -> tuple[str, int]:
    """``host:port``; ValueError if it is none."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"{text!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
