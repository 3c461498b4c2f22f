"""API keys: made so that nobody guesses them, kept so that nobody reads them, found again when they are brought."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.errors import ErrorKind, ServiceError
from service.security.caller import NO_LIMITS, Allowance, Priority
from service.security.keys import ENTRIES, KeyEntry, KeyRing, digest_of, new_key
from service.security.rate import Rate
from tests.service.keyed import entry


def ring(*entries: dict[str, Any], allowance: Allowance = NO_LIMITS) -> KeyRing:
    """The keys of these entries."""
    return KeyRing(ENTRIES.validate_python(list(entries)), allowance)


def refusal(keys: KeyRing, key: str) -> str:
    """What is said to who brings a key that is none."""
    with pytest.raises(ServiceError) as caught:
        keys.caller(key)
    assert caught.value.kind is ErrorKind.UNAUTHENTICATED
    return caught.value.message


def test_a_key_has_256_random_bits_behind_a_known_beginning() -> None:
    """No two keys are the same, and programs that look for secrets know one when they see it."""
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("vk_") and len(key) == 3 + 43 for key in keys)


def test_who_brings_a_key_is_its_caller() -> None:
    """The id, the scopes, the priority and the limits are those of the entry; limits that are not said are all's."""
    key, other = new_key(), new_key()
    keys = ring(
        entry("alice", key, "infer", "admin", rate="5/second", concurrency=2, priority="high"),
        entry("bob", other),
        allowance=Allowance(Rate(9, 60), 7),
    )
    alice, bob = keys.caller(key), keys.caller(other)
    assert (alice.id, alice.is_admin, alice.priority) == ("alice", True, Priority.HIGH)
    assert alice.allowance == Allowance(Rate(5, 1), 2)
    assert (bob.id, bob.is_admin, bob.allowance) == ("bob", False, Allowance(Rate(9, 60), 7))


def test_several_keys_of_one_id_are_one_callers() -> None:
    """So a key is changed without a moment in which none is taken."""
    old, new = new_key(), new_key()
    keys = ring(entry("alice", old), entry("alice", new))
    assert keys.caller(old).id == keys.caller(new).id == "alice"


@given(st.text(max_size=200))
def test_any_other_text_is_no_key(text: str) -> None:
    """Whatever is brought, it is a refusal and no failure."""
    assert "not known" in refusal(ring(entry("alice", "vk_one")), "vk_" + text if text != "one" else "vk_")


def test_what_is_kept_is_no_key() -> None:
    """Who has read the file has nothing to bring."""
    key = new_key()
    keys = ring(entry("alice", key))
    for stolen in (digest_of(key).hex(), "vk_" + digest_of(key).hex(), key[:-1], key + "a"):
        assert "not known" in refusal(keys, stolen)


def test_a_key_expires() -> None:
    """From its moment on a key is none; a day lasts to its end."""
    now = datetime.now(UTC)
    key, today, gone = new_key(), new_key(), new_key()
    keys = ring(
        entry("a", key, expires=now + timedelta(hours=1)),
        entry("b", today, expires=(now + timedelta(days=1)).date().isoformat()),
        entry("c", gone, expires=now - timedelta(seconds=1)),
    )
    assert (keys.caller(key).id, keys.caller(today).id) == ("a", "b")
    assert "expired" in refusal(keys, gone)


def test_the_last_day_of_a_key_is_whole() -> None:
    """A date is its whole day in UTC, however YAML has it; a moment is that moment."""
    for given_as in ("2027-01-01", datetime(2027, 1, 1).date()):  # noqa: DTZ001 - a day has no zone
        found = KeyEntry.model_validate(entry("a", "vk_a", expires=given_as))
        assert found.expires_s == datetime(2027, 1, 2, tzinfo=UTC).timestamp()
    never = KeyEntry.model_validate(entry("a", "vk_a", expires="9999-12-31")).expires_s
    assert never == datetime(9999, 12, 31, tzinfo=UTC).timestamp() + 86_400
    found = KeyEntry.model_validate(entry("a", "vk_a", expires="2027-01-01T10:00:00Z"))
    assert found.expires_s == datetime(2027, 1, 1, 10, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"id": "a b"}, "id"),
        ({"sha256": "abc"}, "sha256"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["root"]}, "scopes"),
        ({"rate": "5/fortnight"}, "rate"),
        ({"concurrency": 0}, "concurrency"),
        ({"priority": "urgent"}, "priority"),
        ({"expires": "soon"}, "expires"),
        ({"key": "vk_secret"}, "key"),
    ],
    ids=str,
)
def test_an_entry_that_is_wrong_is_refused(wrong: dict[str, Any], named: str) -> None:
    """What is wrong is named."""
    with pytest.raises(ValidationError, match=named):
        KeyEntry.model_validate(entry("alice", "vk_a") | wrong)
