"""Who may come in: every request of every transport passes here, where the service asks its callers who they are."""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple, Protocol

from service.errors import ErrorKind, ServiceError
from service.security.caller import ANYONE, NO_LIMITS, Allowance, Caller, Scope
from service.security.keys import PREFIX
from service.security.keys_file import KeysFile
from service.security.meter import Meter, Quota

_BEARER = "bearer "
_OPERATOR = Caller("admin key", frozenset(Scope), allowance=NO_LIMITS)
"""Who brings the key that the service was started with; no id of a keys file has a space."""
_HOW = "send a key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"


class ChecksTokens(Protocol):
    """What checks tokens; see `service.security.tokens.Tokens`."""

    async def caller(self, token: str) -> Caller:
        """Whose token it is; ServiceError if it is none."""
        ...


class Admitted(NamedTuple):
    """A request that has come in."""

    caller: Caller
    key: str
    """Under which it is counted."""
    allowance: Allowance
    quota: Quota | None
    """What is left of its rate; None without one."""


class Gate:
    """Finds out who asks, whether that is allowed, and whether it is too much."""

    def __init__(
        self,
        meter: Meter,
        allowance: Allowance,
        *,
        keys: KeysFile | None = None,
        tokens: ChecksTokens | None = None,
        admin_key: str | None = None,
    ) -> None:
        """``allowance`` is that of callers of whom nothing else is said."""
        self._meter = meter
        self._allowance = allowance
        self._keys = keys
        self._tokens = tokens
        self._admin_key = admin_key.encode() if admin_key else None
        self.keyed = keys is not None or tokens is not None
        """Callers are asked who they are."""

    async def admit(self, credential: str | None, peer: str | None, needed: frozenset[str]) -> Admitted:
        """Let a request in: see `caller`, then `begin`."""
        return self.begin(await self.caller(credential, needed), peer)

    async def caller(self, credential: str | None, needed: frozenset[str]) -> Caller:
        """Who asks; `ANYONE` where nobody is asked.

        Args:
            credential: a key or a token, as `credential_of` finds it.
            needed: the caller must have one of these scopes.

        Raises:
            ServiceError: unauthenticated, forbidden; engine_unavailable where tokens cannot be checked.
        """
        if not self.keyed:
            return ANYONE
        caller = await self.identify(credential)
        require_scope(caller, needed)
        return caller

    def begin(self, caller: Caller, peer: str | None) -> Admitted:
        """A request begins; `leave` is to be called once it is over.

        Args:
            caller: who asks.
            peer: the address that the request comes from, by which those are counted whom nobody asks who they are.

        Raises:
            ServiceError: rate_limited.
        """
        if self.keyed:
            key, allowance = caller.id, caller.allowance
        else:
            key, allowance = place_of(peer), self._allowance
        return Admitted(caller, key, allowance, self._meter.begin(key, allowance))

    def leave(self, admitted: Admitted) -> None:
        """The request is over."""
        self._meter.end(admitted.key, admitted.allowance)

    async def identify(self, credential: str | None) -> Caller:
        """Who brings a key or a token; ServiceError (unauthenticated) for nobody who is known."""
        if not credential:
            raise ServiceError(ErrorKind.UNAUTHENTICATED, f"this service asks its callers who they are: {_HOW}")
        if self._admin_key is not None and hmac.compare_digest(credential.encode(errors="replace"), self._admin_key):
            return _OPERATOR
        if self._keys is not None and credential.startswith(PREFIX):
            return self._keys.ring.caller(credential)
        if self._tokens is not None:
            return await self._tokens.caller(credential)
        raise ServiceError(ErrorKind.UNAUTHENTICATED, f"that is no key of this service; {_HOW}")


def require_scope(caller: Caller, needed: frozenset[str]) -> None:
    """ServiceError (forbidden) unless a caller has one of the scopes."""
    if needed.isdisjoint(caller.scopes):
        why = f"that needs the scope {' or '.join(sorted(needed))}; {caller.id!r} has {_listed(caller.scopes)}"
        raise ServiceError(ErrorKind.FORBIDDEN, why)


def credential_of(headers: Mapping[str, str]) -> str | None:
    """The key or token of a request, by its headers or metadata, found by names in lower case."""
    authorization = headers.get("authorization")
    if authorization is not None and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    return headers.get("x-api-key")


@lru_cache(1024)
def place_of(peer: str | None) -> str:
    """The place that an address counts for: itself, or of IPv6 the /64 that one caller usually has whole."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return peer or ""
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def _listed(scopes: frozenset[str]) -> str:
    return ", ".join(sorted(scopes)) or "none"
