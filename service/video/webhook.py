"""Tells a caller that a job has ended: a POST to the address that came with the job."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from service.errors import ServiceError, invalid_parameters
from service.video.job import Job
from service.video.no_cookies import no_cookies

_log = logging.getLogger("vitrail.video")
_PAUSES_S = (1.0, 5.0)
_TRY_S = 10.0
_SAME_TIME = 8


class Webhook:
    """Posts ``{"id", "state", "links"}`` as JSON; follows no redirect, for the policy has not seen where it leads."""

    def __init__(
        self,
        allowed: Callable[[str], None],
        links: Callable[[Job], Mapping[str, Any]],
        *,
        pauses_s: Sequence[float] = _PAUSES_S,
        try_s: float = _TRY_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """No connection is opened yet.

        Args:
            allowed: The policy: raises ServiceError for an address that must not be called. Asked before every try.
            links: The links of a job, as REST gives them.
            pauses_s: Seconds between the tries; there is one try more.
            transport: What makes connections; None: the usual one, to wherever a name leads.
            try_s: Seconds for one try, its answer included.
        """
        self._allowed = allowed
        self._links = links
        self._pauses_s = pauses_s
        self._try_s = try_s
        self._same_time = asyncio.Semaphore(_SAME_TIME)
        # No proxy and no password from the environment: the address is a stranger's.
        self._client = httpx.AsyncClient(
            follow_redirects=False, trust_env=False, transport=transport, timeout=try_s, cookies=no_cookies()
        )

    async def close(self) -> None:
        """Close the connections that are kept."""
        await self._client.aclose()

    def check(self, url: str) -> None:
        """Raise ServiceError if this address must not be called, or cannot be by HTTP: the policy knows cameras too."""
        self._allowed(url)
        if urlsplit(url).scheme.lower() not in ("http", "https"):
            raise invalid_parameters("a webhook begins with http:// or https://")

    async def tell(self, job: Job, url: str) -> bool:
        """Post, and again where that fails; whether it was taken: a status from 200 to 299."""
        body = {"id": job.id, "state": job.state.value, "links": dict(self._links(job))}
        async with self._same_time:
            refusal = await self._post(url, body)
            for pause_s in self._pauses_s:
                if refusal is None:
                    break
                await asyncio.sleep(pause_s)
                refusal = await self._post(url, body)
        if refusal is not None:
            _log.warning("video job %s: its webhook was not taken: %s", job.id, refusal)
        return refusal is None

    async def _post(self, url: str, body: Mapping[str, Any]) -> str | None:
        """Why it was not taken, or None. The answer's body is not read."""
        try:
            self._allowed(url)
            async with asyncio.timeout(self._try_s), self._client.stream("POST", url, json=body) as answer:
                return None if answer.is_success else f"status {answer.status_code}"
        except ServiceError as refused:
            return refused.message
        except TimeoutError:
            return f"no answer within {self._try_s:g} s"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"{type(error).__name__}: {error}"
