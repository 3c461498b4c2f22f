"""Who may ask."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.doctor.access import Access, admin, key_ages, keys, openness, proxies, read, sites, tokens
from service.security.keys import ENTRIES, KeyEntry
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HERE = Access(host="127.0.0.1", now=NOW)
OPEN = replace(HERE, host="0.0.0.0")  # noqa: S104 - a setting that is judged


def entries(*given: dict[str, Any]) -> tuple[KeyEntry, ...]:
    """Keys of a file."""
    whole = [
        {"id": "someone", "sha256": f"{place:064x}", "scopes": ["infer"], **one} for place, one in enumerate(given)
    ]
    return tuple(ENTRIES.validate_python(whole))


@pytest.fixture
def keys_file(tmp_path: Path) -> Callable[[str, int], Settings]:
    """Settings with a keys file of this content and these permissions."""

    def write(content: str, mode: int) -> Settings:
        path = tmp_path / "keys.yaml"
        path.write_text(content)
        path.chmod(mode)
        return Settings(keys_file=path)

    return write


@pytest.mark.parametrize(
    ("content", "mode", "level"),
    [
        (f"[{{id: a, sha256: '{'0' * 64}', scopes: [infer]}}]", 0o600, OK),
        (f"[{{id: a, sha256: '{'0' * 64}', scopes: [infer]}}]", 0o644, WARNING),
        ("[]", 0o600, PROBLEM),
        ("", 0o644, PROBLEM),
        ("[{id: a}]", 0o600, PROBLEM),
        ("[", 0o600, PROBLEM),
    ],
    ids=["good", "open to all", "empty", "empty and open", "incomplete", "no YAML"],
)
def test_keys_files(content: str, mode: int, level: str, keys_file: Callable[[str, int], Settings]) -> None:
    """A keys file must hold keys, and nobody else may read it."""
    assert levels(keys(read(keys_file(content, mode)))) == [level]


def test_a_keys_file_that_is_not_there(tmp_path: Path) -> None:
    """A service with such a setting does not start, so it is a problem."""
    assert levels(keys(read(Settings(keys_file=tmp_path / "keys.yaml")))) == [PROBLEM]


def test_keys_at_their_end() -> None:
    """Keys that have expired, and those that will soon, are told of by whose they are."""
    facts = replace(HERE, keys=entries({"id": "old", "expires": "2026-10-01"}, {"id": "near", "expires": "2026-11-07"}))
    told = [finding.found for finding in key_ages(facts) if finding.level is WARNING]
    assert told == ["keys of old have expired", "keys of near expire within 14 days"]


def test_keys_that_hold() -> None:
    """Keys without an end, or with a late one, are well."""
    assert levels(key_ages(replace(HERE, keys=entries({"scopes": ["admin"]}, {"expires": "2030-01-01"})))) == [OK]


def test_open_access() -> None:
    """A service that others reach asks who they are, and over TLS, or it is told of."""
    asks = replace(OPEN, keys_file=Path("keys.yaml"))
    told = [levels(openness(facts)) for facts in (HERE, OPEN, asks, replace(asks, tls=True))]
    assert told == [[OK], [WARNING], [WARNING], [OK]]


def test_a_short_admin_key() -> None:
    """A key that can be guessed is told of, by its length only."""
    short, long = read(Settings(admin_key="hunter2")), read(Settings(admin_key="x" * 32))
    assert (levels(admin(HERE)), levels(admin(long))) == ([OK], [OK])
    assert "hunter2" not in only(admin(short)).found
    assert only(admin(short)).level is WARNING


def test_all_sites() -> None:
    """CORS for everybody is told of, for some it is not."""
    found = [levels(sites(replace(HERE, cors=cors))) for cors in ((), ("https://a.example",), ("*",))]
    assert found == [[OK], [OK], [WARNING]]


@pytest.mark.parametrize(
    ("content", "level"),
    [(json.dumps({"keys": [{"kty": "RSA"}]}), OK), ("{}", PROBLEM), ("nonsense", PROBLEM), (None, PROBLEM)],
    ids=["good", "no keys", "no JSON", "absent"],
)
def test_public_keys_of_tokens(content: str | None, level: str, tmp_path: Path) -> None:
    """The JWKS must be there, and hold keys."""
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content)
    settings = Settings(jwt_keys=str(path), jwt_issuer="https://issuer.example", jwt_audience="vitrail")
    assert levels(tokens(read(settings))) == [level]


def test_an_issuer_that_is_away() -> None:
    """A JWKS at an address where nobody answers is a problem, found within its time."""
    settings = Settings(
        jwt_keys="https://127.0.0.1:9/jwks", jwt_issuer="https://issuer.example", jwt_audience="vitrail"
    )
    assert levels(tokens(read(settings, patience_s=0.5))) == [PROBLEM]


@pytest.mark.parametrize(
    ("trusted", "words"),
    [
        ("*", "every caller claim any address"),
        ("10.0.0.0/8,0.0.0.0/0", "every caller claim any address"),
        ("::/0", "every caller claim any address"),
        ("nix", "'nix'"),
        ("10.0.0.0/8, 10.0.0.1/8", "'10.0.0.1/8'"),
        ("10.0.0.1,*", "'*'"),
    ],
)
def test_proxies_that_are_believed_wrongly(trusted: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word taken from everybody, and an entry that is passed over, are told of."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    told = only(proxies(read(Settings())))
    assert (told.level, words in told.found) == (WARNING, True)


@pytest.mark.parametrize("trusted", [None, "", "127.0.0.1", "10.0.0.0/8, 2001:db8::/32,::1", "fe80::1%eth0"])
def test_proxies_that_are_named(trusted: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said against addresses and networks, nor where nobody is named."""
    if trusted is None:
        monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    else:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    assert levels(proxies(read(Settings()))) == [OK]
