"""`python -m deploy.audit`."""

import json
from pathlib import Path

import pytest

from deploy.audit.__main__ import main
from deploy.audit.outcome import Status


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """OSV's records: one, of a weakness that every version of NumPy has."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "numpy"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    (tmp_path / "one.json").write_text(json.dumps({"id": "PYSEC-1", "affected": [affected]}))
    return tmp_path


def test_a_known_weakness(records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what is shipped here a weakness is found in the file that is named, without a network."""
    status = main(["vulnerabilities", "--osv-file", str(records)])
    assert (status, capsys.readouterr().out.startswith("VULNERABLE  numpy ")) == (Status.VULNERABLE, True)


def test_the_worst_of_several_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where one part is well and nothing was checked in another, the status says the latter."""
    status = main(["licences", "vulnerabilities", "--check", "--osv-file", str(tmp_path / "none.zip")])
    assert (status, "NOT CHECKED" in capsys.readouterr().out) == (Status.NOT_CHECKED, True)


def test_an_unknown_part() -> None:
    """A part that there is not is told with those that there are."""
    with pytest.raises(SystemExit, match="2"):
        main(["everything"])
