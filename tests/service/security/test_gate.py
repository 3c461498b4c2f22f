"""Who comes in: by key, by token, by the operator's key, or by an address where nobody is asked."""

from pathlib import Path

import pytest

from service.errors import ErrorKind, ServiceError
from service.security.caller import NO_LIMITS, Allowance, Caller, Scope
from service.security.gate import Gate, credential_of, place_of
from service.security.keys_file import KeysFile
from service.security.meter import Meter
from service.security.rate import Rate
from tests.service.keyed import Keys, write_keys

INFER, ADMIN = frozenset({Scope.INFER}), frozenset({Scope.ADMIN})


class OneToken:
    """Takes one token."""

    async def caller(self, token: str) -> Caller:
        """See `Tokens.caller`."""
        if not token.startswith("carol"):
            raise ServiceError(ErrorKind.UNAUTHENTICATED, "no")
        return Caller("jwt:carol", INFER)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Some keys."""
    return write_keys(tmp_path, rate="2/hour")


@pytest.fixture
def gate(keys: Keys) -> Gate:
    """One that asks for keys and takes tokens."""
    file = KeysFile(keys.file, NO_LIMITS)
    return Gate(Meter(), NO_LIMITS, keys=file, tokens=OneToken(), admin_key="sesame")


async def refused(gate: Gate, credential: str | None, needed: frozenset[str] = INFER) -> ErrorKind:
    """The kind of error with which somebody is refused."""
    with pytest.raises(ServiceError) as caught:
        await gate.admit(credential, "192.0.2.1", needed)
    return caught.value.kind


async def test_keys_tokens_and_the_operators_key_come_in(gate: Gate, keys: Keys) -> None:
    """Each is its own caller; the operator's key may all."""
    brought = {keys.alice: "alice", "carol's": "jwt:carol", "sesame": "admin key"}
    for credential, name in brought.items():
        assert (await gate.admit(credential, None, INFER)).caller.id == name
    assert (await gate.admit("sesame", None, ADMIN)).caller.is_admin


@pytest.mark.parametrize("credential", [None, "", "vk_", "vk_other", "Sesame", "carl", "é\ud800"], ids=range(7))
async def test_nobody_else_does(gate: Gate, credential: str | None) -> None:
    """Without a key, with a wrong one, or with what is none, nobody comes in."""
    assert await refused(gate, credential) is ErrorKind.UNAUTHENTICATED


async def test_a_key_allows_what_its_scopes_say(gate: Gate, keys: Keys) -> None:
    """Who may infer may not administer, and who reads metrics may do neither."""
    assert await refused(gate, keys.alice, ADMIN) is ErrorKind.FORBIDDEN
    assert await refused(gate, keys.prometheus) is ErrorKind.FORBIDDEN


async def test_a_callers_rate_is_its_own_wherever_it_asks_from(gate: Gate, keys: Keys) -> None:
    """Two requests from two addresses use up a rate of two; another caller at the same address has its own."""
    for place in ("192.0.2.1", "192.0.2.2"):
        await gate.admit(keys.alice, place, INFER)
    assert await refused(gate, keys.alice) is ErrorKind.RATE_LIMITED
    assert (await gate.admit(keys.bob, "192.0.2.1", INFER)).caller.id == "bob"


async def test_where_nobody_is_asked_addresses_are_counted() -> None:
    """Without keys everybody is anyone, and each address has its rate; of IPv6 each /64."""
    gate = Gate(Meter(), Allowance(Rate(1, 3600)))
    for first, second in (("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::ffff")):
        admitted = await gate.admit("anything", first, INFER)
        assert admitted.caller.id == ""
        with pytest.raises(ServiceError):
            await gate.admit(None, second, INFER)
    assert (await gate.admit(None, "2001:db8:0:1::1", INFER)).quota is not None


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        (None, ""),
    ],
)
def test_what_an_address_counts_for(address: str | None, place: str) -> None:
    """One that IPv6 carries is itself; of IPv6's own, what one caller usually has whole."""
    assert place_of(address) == place


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"authorization": "Bearer vk_a"}, "vk_a"),
        ({"authorization": "bearer  vk_a "}, "vk_a"),
        ({"x-api-key": "vk_b"}, "vk_b"),
        ({"authorization": "Bearer vk_a", "x-api-key": "vk_b"}, "vk_a"),
        ({"authorization": "Basic dXNlcg==", "x-api-key": "vk_b"}, "vk_b"),
        ({"authorization": "vk_a"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_where_a_key_is_looked_for(headers: dict[str, str], found: str | None) -> None:
    """In Authorization as a bearer's, else in X-API-Key."""
    assert credential_of(headers) == found
