"""``vitrail-serve keys``: what it prints where, and that it serves as a keys file."""

from pathlib import Path

import pytest
import yaml

from service.security.caller import NO_LIMITS
from service.security.keys import new_key
from service.security.keys_command import main
from service.security.keys_file import KeysFile
from tests.service.keyed import entry


def made(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """The key and the entry that ``keys new`` prints."""
    assert main(["new", *arguments]) == 0
    printed = capsys.readouterr()
    return printed.err.splitlines()[-1], printed.out


def test_what_is_printed_is_an_entry_of_a_keys_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Entries appended one after another make a file; the key is in none of them, and opens the service."""
    file = tmp_path / "keys.yaml"
    key, one = made(capsys, "--id", "alice", "--scopes", "infer,admin", "--rate", "5/second", "--expires", "2999-01-01")
    other, more = made(capsys, "--id", "bob")
    file.write_text(one + more)
    ring = KeysFile(file, NO_LIMITS).ring
    assert (ring.caller(key).id, ring.caller(other).id) == ("alice", "bob")
    assert ring.caller(key).scopes == {"infer", "admin"}
    assert key not in one


def test_a_file_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each key with its owner, the begin of its hash, what it allows and its end; one that is over says so."""
    file = tmp_path / "keys.yaml"
    days = ("2001-01-01", "2999-01-01")
    file.write_text(yaml.safe_dump([entry("alice", new_key(), expires=day) for day in days]))
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
        ["new", "--id", "a", "--expires", "yesterday"],
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


@pytest.mark.parametrize("end", ["2999-12-31", "2999-12-31T12:00:00Z", "2999-12-31T12:00+01:00", "9999-12-31"])
def test_an_end_is_a_day_or_a_moment(tmp_path: Path, capsys: pytest.CaptureFixture[str], end: str) -> None:
    """A day, and a date and time with their zone, are taken, and the file with them can be read."""
    file = tmp_path / "keys.yaml"
    key, one = made(capsys, "--id", "alice", "--expires", end)
    file.write_text(one)
    assert KeysFile(file, NO_LIMITS).ring.caller(key).id == "alice"


@pytest.mark.parametrize("end", ["yesterday", "2027-02-30", "31.12.2027", "1893456000", ""])
def test_an_end_that_is_none(capsys: pytest.CaptureFixture[str], end: str) -> None:
    """What is no date is told with the forms that are taken."""
    assert main(["new", "--id", "a", "--expires", end]) == 2
    told = capsys.readouterr().err
    assert f"--expires {end!r}" in told
    assert "2027-12-31, " in told
    assert "2027-12-31T12:00:00+01:00" in told


@pytest.mark.parametrize("end", ["2001-01-01", "2001-01-01T12:00:00Z", "0001-01-01T00:00:00+23:00"])
def test_an_end_that_has_passed(capsys: pytest.CaptureFixture[str], end: str) -> None:
    """No key is made that would be none already."""
    assert main(["new", "--id", "a", "--expires", end]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"vitrail-serve keys: --expires {end!r} has passed; name a day or a moment to come\n"
    assert printed.out == ""


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named, and how one is made."""
    file = tmp_path / "keys.yaml"
    assert main(["list", str(file)]) == 2
    assert capsys.readouterr().err == (
        f"vitrail-serve keys: the keys file {file} does not exist; "
        f"`vitrail-serve keys new --id NAME >> {file}` makes one\n"
    )


def test_a_file_that_is_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read for another reason is told in words, too."""
    assert main(["list", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"vitrail-serve keys: the keys file {tmp_path} cannot be read: Is a directory\n"
