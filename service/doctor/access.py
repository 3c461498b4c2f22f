"""Who may ask: the keys file, tokens, and what is open to all."""

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path

import httpx

from service.doctor.finding import Finding, group, ok, problem, warning
from service.security.caller import Scope
from service.security.keys import KeyEntry
from service.security.keys_file import UnusableKeys, content_of, parsed
from service.settings import Settings

_PATIENCE_S = 3.0
_SOON = timedelta(days=14)
_SHORTEST = 16
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NOT_USED_KEYS = "no keys file is used (--keys-file)"
_TRUSTED = "FORWARDED_ALLOW_IPS"
"""Uvicorn's variable: whose X-Forwarded-For is believed."""
_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked of callers."""

    host: str
    now: datetime
    keys_file: Path | None = None
    keys_problem: str = ""
    keys: tuple[KeyEntry, ...] = ()
    keys_mode: int = 0
    """The file's permissions."""
    tokens: str | None = None
    """``--jwt-keys``."""
    tokens_problem: str = ""
    admin_key: int | None = None
    """Characters of ``--admin-key``."""
    tls: bool = False
    client_certificates: bool = False
    cors: tuple[str, ...] = ()
    proxies: str | None = None
    """``FORWARDED_ALLOW_IPS``; None where it is not set."""

    @property
    def asks(self) -> bool:
        """Callers must say who they are."""
        return self.keys_file is not None or self.tokens is not None or self.client_certificates


def read(settings: Settings, patience_s: float = _PATIENCE_S) -> Access:
    """Read the keys file and the public keys of tokens."""
    entries, keys_problem, mode = _keys(settings.keys_file)
    return Access(
        host=settings.host,
        now=datetime.now(UTC),
        keys_file=settings.keys_file,
        keys_problem=keys_problem,
        keys=entries,
        keys_mode=mode,
        tokens=settings.jwt_keys,
        tokens_problem=_tokens(settings.jwt_keys, patience_s) if settings.jwt_keys else "",
        admin_key=len(settings.admin_key.get_secret_value()) if settings.admin_key else None,
        tls=settings.tls_certificate is not None,
        client_certificates=settings.tls_client_ca is not None,
        cors=tuple(settings.cors_origins),
        proxies=os.environ.get(_TRUSTED),
    )


def _keys(path: Path | None) -> tuple[tuple[KeyEntry, ...], str, int]:
    """The entries, what is wrong with the file, and its permissions."""
    if path is None:
        return (), "", 0
    try:
        entries = tuple(parsed(content_of(path), path))
        return entries, "", stat.S_IMODE(path.stat().st_mode)
    except UnusableKeys as error:
        return (), str(error), 0
    except OSError as error:
        return (), f"the keys file {path} cannot be read: {error.strerror}", 0


def _tokens(place: str, patience_s: float) -> str:
    """What is wrong with the public keys of tokens; nothing if all is well."""
    if find_spec("jwt") is None:
        return "the package that reads tokens is not installed; pip install 'vitrail[jwt]'"
    try:
        if "://" in place:
            content = httpx.get(place, timeout=patience_s).raise_for_status().content
        else:
            content = Path(place).read_bytes()
        found = json.loads(content)
    except (httpx.HTTPError, OSError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    keys = found.get("keys") if isinstance(found, dict) else None
    return "" if keys else 'it holds no keys: a JWKS is {"keys": […]}'


def keys(facts: Access) -> Iterator[Finding]:
    """Whether the keys file can be used, and nobody else can read it."""
    if facts.keys_file is None:
        yield ok(_NOT_USED_KEYS)
    elif facts.keys_problem:
        yield problem(facts.keys_problem, "mend it, or make entries anew with `vitrail-serve keys new`")
    elif not facts.keys:
        yield problem(f"{facts.keys_file} holds no key, so nobody may ask", "`vitrail-serve keys new` makes one")
    elif facts.keys_mode & _OTHERS:
        yield warning(
            f"every user of this machine may read or change {facts.keys_file} (mode {facts.keys_mode:03o})",
            "chmod o-rwx (defaultMode: 0440 and fsGroup in Kubernetes)",
        )
    else:
        yield ok(f"{len(facts.keys)} keys in {facts.keys_file}")


def key_ages(facts: Access) -> Iterator[Finding]:
    """Whether keys have expired or will soon, and whether one may change what is served."""
    ends = [(entry.id, entry.expires_s) for entry in facts.keys if entry.expires_s is not None]
    past = sorted({name for name, end in ends if end <= facts.now.timestamp()})
    soon = sorted({name for name, end in ends if 0 < end - facts.now.timestamp() <= _SOON.total_seconds()})
    if past:
        yield warning(f"keys of {', '.join(past)} have expired", "take them out of the file, or make new ones")
    if soon:
        yield warning(
            f"keys of {', '.join(soon)} expire within {_SOON.days} days", "`vitrail-serve keys new` makes others"
        )
    if facts.keys and facts.admin_key is None and not any(Scope.ADMIN in entry.scopes for entry in facts.keys):
        yield ok("no key has the scope admin: nobody changes what is served over the API")
    elif not (past or soon):
        yield ok(_NOT_USED_KEYS if facts.keys_file is None else "no key is near its end")


def tokens(facts: Access) -> Iterator[Finding]:
    """Whether tokens can be checked."""
    if facts.tokens is None:
        yield ok("no tokens are taken (--jwt-keys)")
    elif facts.tokens_problem:
        yield problem(
            f"{facts.tokens}: {facts.tokens_problem}", "let --jwt-keys name the issuer's JWKS, which must be reachable"
        )
    else:
        yield ok(f"the public keys at {facts.tokens} can be read")


def openness(facts: Access) -> Iterator[Finding]:
    """Whether those are asked who they are who come from elsewhere, and over TLS."""
    if facts.host in _LOOPBACK:
        yield ok("only callers at this machine reach it")
        return
    if not facts.asks:
        yield warning(
            f"whoever reaches {facts.host} may ask models, and nobody is asked who they are",
            "set --keys-file or --jwt-keys; or let a network policy, or a proxy that asks, stand before it",
        )
    elif not facts.tls:
        yield warning(
            "keys and tokens travel unencrypted",
            "set --tls-certificate and --tls-key, or let a proxy with TLS stand before it",
        )
    else:
        yield ok("callers are asked who they are, over TLS")


def admin(facts: Access) -> Iterator[Finding]:
    """Whether the key that may change things is a good one."""
    if facts.admin_key is None:
        yield ok("no --admin-key")
    elif facts.admin_key < _SHORTEST:
        yield warning(
            f"the admin key has {facts.admin_key} characters, and can be guessed",
            "take a long random one: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
        )
    else:
        yield ok("the admin key is long enough")


def sites(facts: Access) -> Iterator[Finding]:
    """Whether every site's page may call the service."""
    if "*" in facts.cors:
        yield warning("the pages of all sites may call this service (--cors-origins)", "name the sites that need it")
    else:
        yield ok(f"pages of {', '.join(facts.cors)} may call it" if facts.cors else "no other site's page may call it")


def proxies(facts: Access) -> Iterator[Finding]:
    """Whether just the proxies before the service are believed where a request comes from."""
    stated = [entry for part in (facts.proxies or "").split(",") if (entry := part.strip())]
    unknown = [entry for entry in stated if not _is_network(entry)]
    # Uvicorn knows the star alone; among others it is a name that nobody has.
    if facts.proxies == "*" or any(_is_everybody(entry) for entry in stated):
        yield warning(
            f"{_TRUSTED}={facts.proxies} lets every caller claim any address: limits by address hold nobody, and the "
            "audit log has addresses that callers chose",
            "name the addresses or networks of the proxies before the service, with commas between",
        )
    elif unknown:
        yield warning(
            f"{_TRUSTED} has {', '.join(map(repr, unknown))}, no address and no network: it is passed over",
            "write addresses (192.0.2.1) or networks by their first address (10.0.0.0/8), with commas between",
        )
    elif stated:
        yield ok(f"{', '.join(stated)} may say where a request comes from")
    else:
        here = "only this machine" if facts.proxies is None else "nobody"
        yield ok(f"{here} may say that a request comes from elsewhere ({_TRUSTED})")


def _is_network(entry: str) -> bool:
    """As uvicorn reads it."""
    try:
        if "/" in entry:
            ip_network(entry)
        else:
            ip_address(entry)
    except ValueError:
        return False
    return True


def _is_everybody(entry: str) -> bool:
    return _is_network(entry) and ip_network(entry).prefixlen == 0


GROUP = group(
    "Access",
    read,
    {
        "keys file": keys,
        "keys": key_ages,
        "tokens": tokens,
        "open access": openness,
        "admin key": admin,
        "other sites": sites,
        "proxies": proxies,
    },
)
