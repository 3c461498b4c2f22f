"""Outcomes outlive the run that had them."""

from pathlib import Path

from build_engines import results
from build_engines.results import Row
from contract.task import Task


def a_row(**changes: object) -> Row:
    """A certified one, with ``changes``."""
    fields = {"name": "a", "task": Task.CLASSIFY, "source": "timm", "weights": "random", "fingerprint": "f"}
    return Row(**{**fields, "certified": True, "seconds": 1.0, **changes})


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    """The last row of a name counts, and a line that was cut off by an interruption is passed over."""
    file = tmp_path / "new" / "results.jsonl"
    for row in (a_row(), a_row(name="b", certified=False, step="export", reason="äöü"), a_row(seconds=2.0)):
        results.append(file, row)
    with file.open("a") as handle:
        handle.write('{"name": "c", "task"')
    assert results.read(file) == {
        "a": a_row(seconds=2.0),
        "b": a_row(name="b", certified=False, step="export", reason="äöü"),
    }


def test_no_file_holds_no_rows(tmp_path: Path) -> None:
    """An absent file is an empty one."""
    assert results.read(tmp_path / "absent") == {}


def test_the_share_counts_what_is_certified() -> None:
    """Three of four are 75 %; of nothing, 0."""
    rows = [a_row(), a_row(), a_row(), a_row(certified=False)]
    assert results.certified_share(rows) == 0.75
    assert results.certified_share([]) == 0
