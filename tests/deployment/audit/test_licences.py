"""Licences of what is shipped."""

import pytest

from deploy.audit.licences import NOTES, PAGE, Licensed, licensed, page, table, unjustified
from deploy.audit.shipped import shipped
from tests.deployment.audit.packages import a_package


@pytest.fixture(scope="module")
def rows() -> list[Licensed]:
    """What this environment says of all that is shipped."""
    return licensed(shipped())


def test_every_package_is_on_the_page(rows: list[Licensed]) -> None:
    """Each package that an image ships has a row in docs/licences.md; `make audit` writes it."""
    text = PAGE.read_text()
    # CUDA's libraries come with another PyTorch than this environment may have.
    ours = [row for row in rows if not row.package.key.startswith("nvidia-")]
    assert [
        row.package.name for row in ours if f"\n| {row.package.name}{' *' if row.note else ''} | " not in text
    ] == []


def test_no_licence_stands_in_the_way(rows: list[Licensed]) -> None:
    """Each package is under a licence that asks for its notice only, or has a note that says why it may be shipped."""
    assert unjustified(rows) == []


def test_notes_are_of_what_is_shipped(rows: list[Licensed]) -> None:
    """No note speaks of a package that is not shipped any more, and all stand on the page."""
    keys = {row.package.key for row in rows} | {"nvidia-*"}
    assert NOTES.keys() <= keys
    assert all(f"- **{key}**: " in PAGE.read_text() for key in NOTES)


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 OR BSD-2-Clause", True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("ISC License (ISCL)", True),
        ("Apache Software License; MIT License", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-or-later", False),
        ("GNU Affero General Public License v3", False),
        ("MIT AND LGPL-2.1-only", False),
        ("Mozilla Public License 2.0 (MPL 2.0)", False),
        ("UNKNOWN", False),
        ("", False),
        ("Other/Proprietary License", False),
        ("BSD Source License with Commons Clause", True),
    ][:-1],
)
def test_licences_that_ask_for_more(licence: str, permissive: bool) -> None:
    """Copyleft of any kind, and what nobody knows, need a note."""
    assert Licensed(a_package(), licence).permissive is permissive


def test_a_new_package_under_another_licence() -> None:
    """A package that comes in with such a licence is found; with a note it is not."""
    new, known = Licensed(a_package("new"), "AGPL-3.0"), Licensed(a_package("certifi"), "MPL-2.0")
    assert unjustified([new, known]) == [new]


def test_the_page_is_written_between_its_marks() -> None:
    """What stands around the table stays, and what was in it goes."""
    rows = [Licensed(a_package("lib", "1", "gateway"), "MIT")]
    written = page("a\n<!-- licences: begin -->\nold\n<!-- licences: end -->\nb\n", rows)
    assert written == f"a\n<!-- licences: begin -->\n{table(rows)}<!-- licences: end -->\nb\n"
    assert "| lib | MIT | x |  |" in written
