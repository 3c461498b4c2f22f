"""Tokens (JWT, RFC 7519) as identity providers issue them by OpenID Connect, checked by PyJWT."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from service.errors import ErrorKind, ServiceError, engine_unavailable
from service.security.caller import Allowance, Caller, Scope
from service.security.token_keys import TokenKeys, VerificationKey

_LEEWAY_S = 30.0
"""By which clocks may differ."""
_LONGEST = 16_384
_KEPT = 4096
_LONGEST_SUBJECT = 255
"""As OpenID Connect has it (core 1.0, section 2)."""
_REQUIRED = ["exp", "iss", "aud", "sub"]
_KNOWN_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token must say, and where it says what its caller may."""

    issuer: str
    audience: str
    scope_claim: str
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class _Checked:
    caller: Caller
    until_s: float
    """Of the clock of the world, in seconds."""


class Tokens:
    """Whose tokens are whose; a token that has been checked is remembered, for a signature takes its time."""

    def __init__(self, keys: TokenKeys, rules: TokenRules) -> None:
        self.keys = keys
        self._rules = rules
        self._checked: OrderedDict[bytes, _Checked] = OrderedDict()
        self._generation = keys.generation

    async def caller(self, token: str) -> Caller:
        """Whose token it is.

        Raises:
            ServiceError: unauthenticated, if it is none, or not for this service, or none any more;
                engine_unavailable where its issuer's keys cannot be had.
        """
        if len(token) > _LONGEST or not token.isascii():
            raise _refused("it is no token")
        if self._generation != self.keys.generation:
            self._checked.clear()
            self._generation = self.keys.generation
        digest = hashlib.sha256(token.encode()).digest()
        checked = self._checked.get(digest)
        if checked is None:
            checked = await self._check(token)
            self._checked[digest] = checked
            if len(self._checked) > _KEPT:
                self._checked.popitem(last=False)
        elif time.time() >= checked.until_s:
            del self._checked[digest]
            raise _refused("it has expired")
        return checked.caller

    async def _check(self, token: str) -> _Checked:
        key = await self._key(token)
        rules = self._rules
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=list(key.algorithms),
                audience=rules.audience,
                issuer=rules.issuer,
                leeway=_LEEWAY_S,
                options={"require": _REQUIRED},
            )
        except jwt.PyJWTError as error:
            raise _refused(str(error)) from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            # Claims of a kind, or of a depth, that the library did not expect.
            raise _refused("its claims make no sense") from error
        subject = str(claims["sub"])
        if len(subject) > _LONGEST_SUBJECT:
            # Cut short, one subject's jobs and streams would be another's too.
            raise _refused(f"its subject is longer than {_LONGEST_SUBJECT} characters")
        caller = Caller(f"jwt:{subject}", scopes_of(claims, rules.scope_claim), allowance=rules.allowance)
        return _Checked(caller, float(claims["exp"]) + _LEEWAY_S)

    async def _key(self, token: str) -> VerificationKey:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, RecursionError) as error:
            raise _refused("it is no token") from error
        key_id = header.get("kid")
        key = self.keys.get(key_id)
        if key is None:
            # Its issuer may have a new one.
            await self.keys.refresh()
            key = self.keys.get(key_id)
        if key is None:
            if not len(self.keys):
                raise engine_unavailable("tokens cannot be checked now, for their issuer's keys cannot be had")
            raise _refused("it is signed by a key that its issuer does not name")
        return key


def scopes_of(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """The scopes of a token that mean something here: words with spaces between, or a list of them."""
    found: Any = claims.get(claim)
    if found is None:
        found = claims
        for name in claim.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    words = found.split() if isinstance(found, str) else found
    if not isinstance(words, list | tuple):
        return frozenset()
    return frozenset(Scope(word) for word in words if isinstance(word, str) and word in _KNOWN_SCOPES)


def _refused(why: str) -> ServiceError:
    return ServiceError(ErrorKind.UNAUTHENTICATED, f"the token is not taken: {why}")
