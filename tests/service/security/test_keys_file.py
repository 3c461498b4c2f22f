"""The keys file while the service runs: what changes holds soon, and what is broken holds nobody up."""

import logging
from pathlib import Path

import pytest
import yaml

from service.errors import ServiceError
from service.security.caller import NO_LIMITS
from service.security.keys import new_key
from service.security.keys_file import KeysFile, UnusableKeys
from tests.service.keyed import entry, write_keys


def test_a_key_comes_and_goes_without_a_restart(tmp_path: Path) -> None:
    """After a look at the changed file the new key is taken, and the one that was taken out is not."""
    keys, new = write_keys(tmp_path), new_key()
    file = KeysFile(keys.file, NO_LIMITS)
    assert file.ring.caller(keys.alice).id == "alice"
    keys.file.write_text(yaml.safe_dump([entry("alice", new)]))
    file.look()
    assert file.ring.caller(new).id == "alice"
    with pytest.raises(ServiceError):
        file.ring.caller(keys.alice)


@pytest.mark.parametrize(
    "broken",
    ["{", "- id: alice", "alice: vk_1", None, "- 2027-13-45", "[" * 50_000],
    ids=["no YAML", "half", "no list", "gone", "no day", "deep"],
)
def test_a_broken_file_leaves_the_keys_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, broken: str | None
) -> None:
    """The last good keys hold on, the log says once what is wrong, and what is mended is followed."""
    keys = write_keys(tmp_path)
    good = keys.file.read_text()
    file = KeysFile(keys.file, NO_LIMITS)
    keys.file.unlink() if broken is None else keys.file.write_text(broken)
    for _ in range(3):
        file.look()
    assert file.ring.caller(keys.alice).id == "alice"
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1
    keys.file.write_text(good)
    file.look()
    assert file.problem is None


def test_an_empty_file_takes_every_key_back(tmp_path: Path) -> None:
    """A file that holds nothing means nobody: it is no broken one."""
    keys = write_keys(tmp_path)
    file = KeysFile(keys.file, NO_LIMITS)
    keys.file.write_text("")
    file.look()
    assert len(file.ring) == 0


@pytest.mark.parametrize(
    "content", [None, b"- {}", b"\xff", b"#" * ((1 << 20) + 1)], ids=["none", "{}", "bytes", "big"]
)
def test_nothing_starts_with_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None) -> None:
    """A service that was to ask for keys does not start without; the message names the file, and no hash."""
    path = tmp_path / "keys.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableKeys, match=r"keys\.yaml"):
        KeysFile(path, NO_LIMITS)


def test_the_same_key_twice_is_a_mistake(tmp_path: Path) -> None:
    """Of two entries with one hash nobody could say which counts."""
    key = new_key()
    (tmp_path / "keys.yaml").write_text(yaml.safe_dump([entry("alice", key), entry("bob", key)]))
    with pytest.raises(UnusableKeys, match="twice"):
        KeysFile(tmp_path / "keys.yaml", NO_LIMITS)
