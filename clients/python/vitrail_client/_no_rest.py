"""What is asked for over REST only, at an address of gRPC: it says so."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager

import httpx

from vitrail_client._connection import Request
from vitrail_client._errors import VitrailError


class NoRest:
    """See `Rest`."""

    def send(self, request: Request, timeout_s: float) -> httpx.Response:
        """No answer."""
        raise _unsupported(request, timeout_s)

    def upload(self, request: Request, timeout_s: float) -> httpx.Response:
        """No answer."""
        raise _unsupported(request, timeout_s)

    def opened(self, request: Request, timeout_s: float) -> AbstractContextManager[httpx.Response]:
        """No answer."""
        raise _unsupported(request, timeout_s)


class AsyncNoRest:
    """See `AsyncRest`."""

    async def send(self, request: Request, timeout_s: float) -> httpx.Response:
        """No answer."""
        raise _unsupported(request, timeout_s)

    async def upload(self, request: Request, timeout_s: float) -> httpx.Response:
        """No answer."""
        raise _unsupported(request, timeout_s)

    def opened(self, request: Request, timeout_s: float) -> AbstractAsyncContextManager[httpx.Response]:
        """No answer."""
        raise _unsupported(request, timeout_s)


def _unsupported(request: Request, timeout_s: float) -> VitrailError:
    del request, timeout_s
    message = "videos and live streams are asked for over REST; use an address that begins with http:// or https://"
    return VitrailError(message, code="unsupported")
