"""HTTP to just the address that was looked at: between a look at a name and a call of it, it could lead elsewhere."""

from collections.abc import Awaitable, Callable

import httpx

Address = Callable[[str], Awaitable[str]]
"""Finds the address to call for a URL; see `UrlPolicy.address`."""


class PinnedTransport(httpx.AsyncHTTPTransport):
    """Calls addresses, and speaks to them by the names that were asked for: in ``Host``, and where TLS checks it."""

    def __init__(self, address: Address) -> None:
        # One connection for one call: another name may lead to the same address.
        super().__init__(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        self._address = address

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See `httpx.AsyncHTTPTransport`.

        Raises:
            ServiceError: the policy's.
            httpx.ConnectError: nobody knows the name.
        """
        name = request.url.host
        try:
            address = await self._address(str(request.url))
        except OSError as error:
            raise httpx.ConnectError(f"nobody knows the name {name}", request=request) from error
        request.extensions = {**request.extensions, "sni_hostname": name}
        request.url = request.url.copy_with(host=address)
        return await super().handle_async_request(request)
