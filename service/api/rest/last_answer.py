"""The answer to a request whose body nobody wants to read any more."""

import asyncio
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_LINGER_S = 2.0
_LINGER_BYTES = 16 << 20


class LastAnswer(Response):
    """An answer before the body has been read: said at once, then a bounded part of the rest is read and thrown away.

    Closed with data unread, TCP would drop what was sent last: the caller would never see why it was refused.
    """

    def __init__(self, answer: Response) -> None:
        """As that answer, and the connection ends behind it."""
        super().__init__(answer.body, answer.status_code)
        self.raw_headers = answer.raw_headers
        self.headers["Connection"] = "close"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        del scope
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                await _pass_over(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _pass_over(receive: Receive) -> None:
    read = 0
    while read < _LINGER_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return
        read += len(message.get("body", b""))
