"""OSV's records, from files."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from deploy.audit.osv import audit, weaknesses, within
from deploy.audit.outcome import Status
from tests.deployment.audit.packages import a_package

WANTED = {"example-lib": a_package()}


def record(*events: dict[str, str], **changes: Any) -> dict[str, Any]:
    """A record that speaks of ``example_lib``, with these events."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "example_lib"},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
        **changes.pop("affected", {}),
    }
    return {"id": "GHSA-x", "aliases": ["CVE-2026-1"], "affected": [affected], **changes}


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "1.5.0"}], False),
        ([{"introduced": "1.5.0"}, {"fixed": "1.6"}], True),
        ([{"fixed": "2.0"}, {"introduced": "1.10"}], False),
        ([{"introduced": "0"}, {"last_affected": "1.5.0"}], True),
        ([{"introduced": "0"}, {"last_affected": "1.4.9"}], False),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.2"}, {"fixed": "1.9"}], True),
    ],
    ids=["all", "fixed here", "from here", "later", "to here", "before", "again"],
)
def test_ranges(events: list[dict[str, str]], found: bool) -> None:
    """A version is affected from where a weakness was introduced to before where it was fixed; 1.10 is after 1.9."""
    assert bool(list(weaknesses(record(*events), WANTED))) is found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"withdrawn": "2026-01-01T00:00:00Z"}, False),
        ({"affected": {"package": {"ecosystem": "npm", "name": "example-lib"}}}, False),
        ({"affected": {"package": {"ecosystem": "PyPI", "name": "other"}}}, False),
        ({"affected": {"ranges": [], "versions": ["1.5.0"]}}, True),
        ({"affected": {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}}, False),
    ],
    ids=["withdrawn", "elsewhere", "another", "by version", "by commit"],
)
def test_of_whom_a_record_speaks(changes: dict[str, Any], found: bool) -> None:
    """Only records that hold, of this package in this index, count; versions may be listed one by one."""
    assert bool(list(weaknesses(record({"introduced": "0"}, **changes), WANTED))) is found


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8, unique=True), st.integers(0, 30))
def test_within(places: list[int], version: int) -> None:
    """Of ascending pairs of introduction and fix exactly the versions inside a pair are affected."""
    ordered = sorted(places)[: len(places) // 2 * 2]
    kinds = ["introduced", "fixed"] * (len(ordered) // 2)
    events = [(Version(str(at)), kind) for at, kind in zip(ordered, kinds, strict=True)]
    pairs = zip(ordered[::2], ordered[1::2], strict=True)
    assert within(events, Version(str(version))) == any(low <= version < high for low, high in pairs)


def test_an_archive(tmp_path: Path) -> None:
    """The archive that OSV publishes is read as it is, and what is found says where it is fixed."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GHSA-x.json", json.dumps(record({"introduced": "0"}, {"fixed": "1.6"})))
    found = audit([a_package()], path)
    assert (found.status, found.weaknesses[0].fixed_in) == (Status.VULNERABLE, ("1.6",))


def test_a_folder_without_a_weakness(tmp_path: Path) -> None:
    """Records that speak of others leave the packages clean."""
    (tmp_path / "one.json").write_text(json.dumps(record({"introduced": "0"}, {"fixed": "1.0"})))
    assert audit([a_package()], tmp_path).status is Status.CLEAN


@pytest.mark.parametrize("content", [None, b"", b"no archive"], ids=["absent", "empty", "nonsense"])
def test_a_file_that_says_nothing(content: bytes | None, tmp_path: Path) -> None:
    """A file that is not there, or that is none of OSV's, is never taken for clean."""
    path = tmp_path / "all.zip"
    if content is not None:
        path.write_bytes(content)
    assert audit([a_package()], path).status is Status.NOT_CHECKED


def test_an_empty_folder_says_nothing(tmp_path: Path) -> None:
    """A folder without records is never taken for clean."""
    assert audit([a_package()], tmp_path).status is Status.NOT_CHECKED
