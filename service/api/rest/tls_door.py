"""Connections that speak TLS: counted, and given their time, from their first packet on.

Left to the loop, a connection is nobody's until its handshake is over: whoever connects and says nothing would take
descriptors without a limit, and keep each for a minute.
"""

import asyncio
import ssl
from typing import Any

from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]


class TlsDoors:
    """Makes the protocol of each connection of a port; called by the server."""

    def __init__(
        self, protocol: type[asyncio.Protocol], context: ssl.SSLContext, most_connections: int, handshake_s: float
    ) -> None:
        """``protocol`` is what speaks within TLS."""
        self._protocol = protocol
        self._context = context
        self._most = most_connections
        self._handshake_s = handshake_s
        self._open = 0

    def __call__(self, **arguments: Any) -> asyncio.BaseProtocol:
        """The protocol of a connection; ``arguments`` are for the one within."""
        return _Door(self, self._protocol(**arguments), self._context, self._handshake_s)

    def enter(self) -> bool:
        """A connection begins; False if it is one too many."""
        self._open += 1
        return self._open <= self._most

    def leave(self) -> None:
        """It has ended."""
        self._open -= 1


class _Door(SSLProtocol):  # type: ignore[misc]
    def __init__(self, doors: TlsDoors, within: asyncio.Protocol, context: ssl.SSLContext, handshake_s: float) -> None:
        super().__init__(
            asyncio.get_running_loop(), within, context, None, server_side=True, ssl_handshake_timeout=handshake_s
        )
        self._doors = doors

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See `asyncio.Protocol`; where there is no room nothing can be said, for that would take a handshake."""
        if self._doors.enter():
            super().connection_made(transport)
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._doors.leave()
        super().connection_lost(exc)
