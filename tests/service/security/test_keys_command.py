"""``vitrail-serve keys``: what it prints where, and that it serves as a keys file."""

from pathlib import Path

import pytest

from service.security.caller import NO_LIMITS
from service.security.keys_command import main
from service.security.keys_file import KeysFile


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The key and the entry that ``keys new`` prints."""
    assert main(["new", *arguments]) == 0
    printed = capsys.readouterr()
    return printed.err.splitlines()[-1], printed.out


def test_what_is_printed_is_an_entry_of_a_keys_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Entries appended one after another make a file; the key is in none of them, and opens the service."""
    file = tmp_path / "keys.yaml"
    key, entry = made(
        capsys, "--id", "alice", "--scopes", "infer,admin", "--rate", "5/second", "--expires", "2999-01-01"
    )
    other, more = made(capsys, "--id", "bob")
    file.write_text(entry + more)
    ring = KeysFile(file, NO_LIMITS).ring
    assert (ring.caller(key).id, ring.caller(other).id) == ("alice", "bob")
    assert ring.caller(key).scopes == {"infer", "admin"}
    assert key not in entry


def test_a_file_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each key with its owner, the begin of its hash, what it allows and its end; one that is over says so."""
    file = tmp_path / "keys.yaml"
    entries = [made(capsys, "--id", "alice", "--expires", day)[1] for day in ("2001-01-01", "2999-01-01")]
    file.write_text("".join(entries))
    assert main(["list", str(file)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split("\t")[0] == second.split("\t")[0] == "alice"
    assert "expired" in first
    assert "2999-01-01" in second


@pytest.mark.parametrize(
    "arguments",
    [
        ["new", "--id", "a b"],
        ["new", "--id", "a", "--scopes", "root"],
        ["new", "--id", "a", "--rate", "5"],
        ["list", "gone"],
    ],
    ids=str,
)
def test_what_makes_no_sense_is_told_in_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Status 2, one line, no key."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("vitrail-serve keys: ")
    assert printed.err.count("\n") == 1
    assert "vk_" not in printed.err + printed.out
