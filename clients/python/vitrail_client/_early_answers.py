"""An answer that comes while the request is still being sent: the rest of it is then not sent.

A service that refuses a large file says so at once. Whoever goes on sending (httpx would) finds the connection closed
in the end, and the answer is lost with it: RFC 9112, section 9.5, asks callers to watch for it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpcore

_CONNECTED = "connection.connect_tcp.complete"


class EarlyAnswer:
    """Watches the connection of one request, which must be a new one, while its body is sent."""

    def __init__(self, url: str) -> None:
        # With TLS something is to be read also where nobody has answered.
        self._watched = url.lower().startswith("http://")
        self._stream: Any = None

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """To be httpx's ``trace``: it tells of the connection."""
        if event == _CONNECTED and self._watched:
            self._stream = info["return_value"]

    async def trace_async(self, event: str, info: dict[str, Any]) -> None:
        """See `trace`."""
        self.trace(event, info)

    def before(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces that are sent before there is an answer."""
        for piece in pieces:
            self._check()
            yield piece

    async def before_async(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """See `before`."""
        async for piece in pieces:
            self._check()
            yield piece

    def _check(self) -> None:
        if self._stream is not None and self._stream.get_extra_info("is_readable"):
            # What httpcore takes for the reason to read the answer without having sent all.
            raise httpcore.WriteError("there is an answer already")
