"""The public keys that tokens are signed by: a JWKS from a file or an address, fetched beside the requests."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

_LARGEST = 1 << 20
_FETCH_S = 5.0
_LEAST_PAUSE_S = 10.0
"""Between two fetches, whatever tokens say whose keys they are signed by."""
_FRESH_S = 300.0
"""After so long keys are fetched again, so that one that its issuer has taken back is none here either."""
_KINDS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
ALGORITHMS = frozenset(name for names in _KINDS.values() for name in names)
"""By which tokens may be signed: pairs of keys only, of which the service has the public half."""
_HERE = frozenset({"127.0.0.1", "::1", "localhost"})

_log = logging.getLogger("vitrail.security")


class UnusableTokenKeys(Exception):
    """There are no keys to be had; the message says why."""


class VerificationKey:
    """A public key, and the algorithms that it may be used with."""

    __slots__ = ("algorithms", "key")

    def __init__(self, given: jwt.PyJWK) -> None:
        """``given`` is of a kind that `parsed` lets pass."""
        fixed = given._jwk_data.get("alg")  # noqa: SLF001 - what is said of it, not what the library guesses
        names = _KINDS[str(given.key_type)]
        self.key: Any = given.key
        self.algorithms = (fixed,) if fixed else ((given.algorithm_name,) if given.key_type == "EC" else names)


class TokenKeys:
    """The keys by their ids; those that are known go on counting while their source is away."""

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        """``source`` is an address or a file; UnusableTokenKeys if it can be neither, or the file cannot be used."""
        self._clock = clock
        self._url = source if "://" in source else None
        self._file = None if self._url else Path(source)
        self._keys: dict[str | None, VerificationKey] = {}
        self._content = b""
        self._problem = ""
        self._tried_s: float | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self.generation = 0
        """Counts changes: what was concluded from keys of before is to be concluded anew."""
        if self._url is not None:
            _require_safe(self._url)
        elif self._file is not None:
            self._take(_read(self._file))

    def get(self, key_id: str | None) -> VerificationKey | None:
        """The key of that id; without one the only key, where there is just one."""
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    def __len__(self) -> int:
        return len(self._keys)

    async def refresh(self) -> None:
        """Ask for the keys anew, unless that was done a moment ago; those who come meanwhile wait for the same."""
        if self._refreshing is None:
            if self._tried_s is not None and self._clock() - self._tried_s < _LEAST_PAUSE_S:
                return
            self._refreshing = asyncio.create_task(self._refresh(), name="fetching the keys of tokens")
        # Who leaves must not end it for the others.
        await asyncio.shield(self._refreshing)

    async def look(self) -> None:
        """To be called every second or so: a file that has changed is read, keys that are old are fetched."""
        if self._file is not None:
            await self._refresh()
        elif self._tried_s is None or self._clock() - self._tried_s >= self._pause_s:
            await self.refresh()

    @property
    def _pause_s(self) -> float:
        return _FRESH_S if self._keys else _LEAST_PAUSE_S

    async def _refresh(self) -> None:
        try:
            content = await (asyncio.to_thread(_read, self._file) if self._file else _fetched(str(self._url)))
            if content != self._content:
                self._take(content)
            self._problem = ""
        except UnusableTokenKeys as error:
            if str(error) != self._problem:
                _log.error("%s; the %d keys from before hold on", error, len(self._keys))
            self._problem = str(error)
        finally:
            self._tried_s = self._clock()
            self._refreshing = None

    def _take(self, content: bytes) -> None:
        self._keys = parsed(content)
        self._content = content
        self.generation += 1
        _log.info("tokens may be signed by %d keys", len(self._keys))


def parsed(content: bytes) -> dict[str | None, VerificationKey]:
    """The usable keys of a JWKS (RFC 7517) by their ids; UnusableTokenKeys if there is none."""
    try:
        given = json.loads(content)["keys"]
        usable = [key for key in given if key.get("kty") in _KINDS and key.get("use", "sig") == "sig"]
        found = jwt.PyJWKSet(usable).keys
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise UnusableTokenKeys("what should be a JWKS has no public key that can be used here") from error
    return {key.key_id: VerificationKey(key) for key in found if key.algorithm_name in ALGORITHMS}


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
        raise UnusableTokenKeys(f"--jwt-keys {url} is neither a file nor an https:// address")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(_LARGEST + 1))
    except OSError as error:
        raise UnusableTokenKeys(f"the keys of tokens cannot be read from {path}: {error.strerror}") from error


async def _fetched(url: str) -> bytes:
    """What stands at an address; it is bounded in time and size, and leads nowhere else."""
    try:
        async with (
            asyncio.timeout(_FETCH_S),
            httpx.AsyncClient(follow_redirects=False, timeout=_FETCH_S) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise UnusableTokenKeys(f"the keys of tokens cannot be had from {url}: status {response.status_code}")
            content = b""
            async for chunk in response.aiter_bytes():
                content = _bounded(content + chunk)
            return content
    except (httpx.HTTPError, TimeoutError) as error:
        raise UnusableTokenKeys(f"the keys of tokens cannot be had from {url}: {type(error).__name__}") from error


def _bounded(content: bytes) -> bytes:
    if len(content) > _LARGEST:
        raise UnusableTokenKeys(f"the keys of tokens take more than {_LARGEST:,} bytes")
    return content
