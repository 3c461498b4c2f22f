"""API keys: how they are made, what is kept of them, and how one that is brought is found again.

A key is 256 random bits, so nobody finds it by trying, and a hash made slow for the sake of passwords would only cost
every request its time. What is kept is the SHA-256 of the key: it does not lead back to the key.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from service.errors import ErrorKind, ServiceError
from service.security.caller import Allowance, Caller, Priority, Scope
from service.security.rate import Rate

PREFIX = "vk_"
"""What every key begins with: so people, and programs that look for secrets in files, know one when they see it."""
_BYTES = 32
_LONGEST = 128
_DAY_S = 86_400.0
_FIRST_DAY = date(1970, 1, 1).toordinal()


def _one_word(given: Any) -> Any:
    """A single scope may stand there without a list."""
    return [given] if isinstance(given, str) else given


def _a_day(given: Any) -> Any:
    """A day is a day, and not its first moment."""
    is_day = isinstance(given, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", given.strip())
    return date.fromisoformat(given.strip()) if is_day else given


class KeyEntry(BaseModel):
    """What the keys file holds of one key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    """Whose it is; the keys of one id are those of one caller."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of the key, in hexadecimal digits."""
    scopes: Annotated[frozenset[Scope], BeforeValidator(_one_word), Field(min_length=1)]
    rate: str | None = None
    """Such as ``50/second``; absent: what holds for all."""
    concurrency: Annotated[int | None, Field(ge=1)] = None
    """Requests and streams under way at the same time; absent: what holds for all."""
    priority: Literal["high", "normal", "low"] = "normal"
    expires: Annotated[datetime | date | None, BeforeValidator(_a_day)] = None
    """The moment from which on the key is none; of a date, the end of that day, in UTC."""
    note: str = ""

    def model_post_init(self, _: Any) -> None:
        """Refuse a rate that is none."""
        if self.rate is not None:
            Rate.of(self.rate)

    @property
    def expires_s(self) -> float | None:
        """``expires``, in seconds since 1970."""
        if self.expires is None:
            return None
        if isinstance(self.expires, datetime):
            return (self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)).timestamp()
        # Days are counted, for the last one that there is, 9999-12-31, is a usual word for never.
        return (self.expires.toordinal() + 1 - _FIRST_DAY) * _DAY_S


ENTRIES = TypeAdapter(list[KeyEntry])
"""A keys file: a list of entries."""


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes
    caller: Caller
    expires_s: float | None


class KeyRing:
    """The keys that there are; made anew when their file changes."""

    def __init__(self, entries: Iterable[KeyEntry], allowance: Allowance) -> None:
        """``allowance`` is that of keys without one of their own."""
        known = [_Known(bytes.fromhex(entry.sha256), _caller(entry, allowance), entry.expires_s) for entry in entries]
        self._known = {item.digest: item for item in known}

    def __len__(self) -> int:
        return len(self._known)

    def caller(self, key: str) -> Caller:
        """Whose key it is; ServiceError (unauthenticated) if it is none, or none any more."""
        digest = digest_of(key)
        # The table is asked for a hash, which nobody can choose: how long that takes tells nothing of any key.
        known = self._known.get(digest)
        if known is None or not hmac.compare_digest(known.digest, digest):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "that key is not known here")
        if known.expires_s is not None and time.time() >= known.expires_s:
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "that key has expired; ask for a new one")
        return known.caller


def new_key() -> str:
    """A key that nobody guesses."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def digest_of(key: str) -> bytes:
    """What is kept of a key, 32 bytes."""
    return hashlib.sha256(key[:_LONGEST].encode(errors="replace")).digest()


def _caller(entry: KeyEntry, allowance: Allowance) -> Caller:
    own = Allowance(
        rate=Rate.of(entry.rate) if entry.rate else allowance.rate,
        concurrency=entry.concurrency or allowance.concurrency,
    )
    return Caller(entry.id, frozenset(entry.scopes), Priority[entry.priority.upper()], own)
