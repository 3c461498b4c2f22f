"""Settings → who may ask: what is asked for holds, or nothing starts."""

import asyncio
from typing import Any

import pytest
import yaml

from service.access_wiring import Access, UnusableAccess
from service.errors import ServiceError
from service.settings import Settings
from tests.doubles import until
from tests.service.keyed import Keys, entry, write_keys


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"keys_file": "gone.yaml"}, "gone.yaml"),
        ({"tls_certificate": "gone.crt", "tls_key": "gone.key"}, "--tls-certificate gone.crt"),
        ({"jwt_keys": "gone.json", "jwt_issuer": "a", "jwt_audience": "b"}, "gone.json"),
        ({"jwt_keys": "http://issuer.example", "jwt_issuer": "a", "jwt_audience": "b"}, "https://"),
    ],
    ids=["keys", "certificate", "tokens", "in the open"],
)
def test_nothing_starts_more_open_than_it_was_meant_to_be(settings: dict[str, Any], named: str) -> None:
    """What was asked for and cannot be used is an error that names it."""
    with pytest.raises(UnusableAccess, match=named):
        Access(Settings(**settings))


@pytest.fixture
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Some keys."""
    return write_keys(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize(("settings", "gate", "keyed"), [({}, False, False), ({"rate_limit": "5/second"}, True, False)])
def test_a_gate_is_there_where_there_is_something_to_guard(settings: dict[str, Any], gate: bool, keyed: bool) -> None:
    """By default there is none; with a rate there is one that asks nobody."""
    access = Access(Settings(**settings))
    assert ((access.gate is not None), access.keyed) == (gate, keyed)


async def test_keys_without_limits_have_everybodys(keys: Keys) -> None:
    """--rate-limit and --max-concurrent-per-caller hold for keys that say nothing else."""
    access = Access(Settings(keys_file=keys.file, rate_limit="5/minute", max_concurrent_per_caller=3))
    assert access.gate is not None
    found = (await access.gate.identify(keys.alice)).allowance
    assert (found.rate is not None and found.rate.count, found.concurrency) == (5, 3)


async def test_files_are_followed_whatever_stood_in_them(keys: Keys, caplog: pytest.LogCaptureFixture) -> None:
    """After a file at which the reader itself fails the next one is followed: who is taken out there stays out."""
    access = Access(Settings(keys_file=keys.file))
    following = asyncio.create_task(access.follow())
    # YAML's own reader answers this with an AttributeError.
    keys.file.write_text("- !!timestamp never")
    await until(lambda: caplog.records)
    keys.file.write_text(yaml.safe_dump([entry("bob", keys.bob)]))
    assert access.gate is not None
    async with asyncio.timeout(10):
        while not following.done() and await _is_known(access, keys.alice):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    assert not following.done()
    following.cancel()


async def _is_known(access: Access, key: str) -> bool:
    assert access.gate is not None
    try:
        await access.gate.identify(key)
    except ServiceError:
        return False
    return True
