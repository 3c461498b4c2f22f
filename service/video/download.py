"""A video by its address → its bytes, as they come."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import cast
from urllib.parse import unquote, urlsplit

import httpx

from service.errors import ErrorKind, ServiceError, deadline_exceeded, invalid_parameters
from service.video.no_cookies import no_cookies

_SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadLimits:
    """How long a download may take, in seconds."""

    connect_s: float = 10.0
    stall_s: float = 10.0
    """Without a byte."""
    whole_s: float = 3600.0


class Download:
    """Fetches videos; follows no redirect, for the policy has not seen where it leads."""

    def __init__(
        self,
        allowed: Callable[[str], None],
        limits: DownloadLimits | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """No connection is opened yet.

        Args:
            allowed: The policy: raises ServiceError for an address that must not be called.
            limits: How long it may take.
            transport: What makes connections; None: the usual one, to wherever a name leads.
        """
        self._allowed = allowed
        self._limits = limits or DownloadLimits()
        timeout = httpx.Timeout(self._limits.stall_s, connect=self._limits.connect_s)
        # No proxy and no password from the environment: the address is a stranger's. Nothing compressed: what comes is
        # counted as it is.
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            timeout=timeout,
            headers={"Accept-Encoding": "identity"},
            cookies=no_cookies(),
        )

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._client.aclose()

    def check(self, url: str) -> None:
        """Raise ServiceError if this address must not be called, or names no file: see the policy."""
        self._allowed(url)
        if urlsplit(url).scheme.lower() not in _SCHEMES:
            raise invalid_parameters(f"a video is fetched from {' or '.join(f'{name}://' for name in _SCHEMES)}")

    async def chunks(self, url: str) -> AsyncGenerator[bytes, None]:
        """The file's bytes, in order. How many are taken is for who takes them to say.

        Raises:
            ServiceError: the policy's; invalid_parameters where the address does not give a file, or stops in the
                middle; deadline_exceeded where it is too slow.
        """
        self.check(url)
        limits = self._limits
        end = asyncio.get_running_loop().time() + limits.whole_s
        try:
            async with AsyncExitStack() as stack:
                # Only while this waits: a limit that ran on while the file is written would end who writes it.
                async with asyncio.timeout_at(end):
                    answer = await stack.enter_async_context(self._client.stream("GET", url))
                _check(answer)
                pieces = await stack.enter_async_context(
                    aclosing(cast("AsyncGenerator[bytes, None]", answer.aiter_raw()))
                )
                while True:
                    async with asyncio.timeout_at(end):
                        piece = await anext(pieces, None)
                    if piece is None:
                        return
                    yield piece
        except httpx.TimeoutException as error:
            raise deadline_exceeded(f"the video's address said nothing for {_patience(error, limits):g} s") from error
        except TimeoutError:
            raise deadline_exceeded(f"the video did not come whole within {limits.whole_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise invalid_parameters(f"the video cannot be fetched: {error or type(error).__name__}") from error


def name_in(url: str) -> str | None:
    """The file's name, as the address has it; to be shown."""
    return unquote(urlsplit(url).path.rpartition("/")[2]) or None


def _patience(error: httpx.TimeoutException, limits: DownloadLimits) -> float:
    return limits.connect_s if isinstance(error, httpx.ConnectTimeout) else limits.stall_s


def _check(answer: httpx.Response) -> None:
    """Raise ServiceError unless the answer is the file itself."""
    if answer.has_redirect_location:
        raise invalid_parameters("the video's address redirects, which is not followed; give the address it leads to")
    if answer.status_code != httpx.codes.OK:
        raise invalid_parameters(f"the video's address answers with status {answer.status_code}")
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        raise ServiceError(
            ErrorKind.INVALID_VIDEO, f"the video's address sends it as {encoding[:32]}, though not asked to"
        )
