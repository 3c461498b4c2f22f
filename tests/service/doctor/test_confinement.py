"""How tightly the process is confined."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from service.doctor.confinement import Confinement, huge_pages, privileges, read, user
from service.settings import Settings
from tests.service.doctor.telling import OK, WARNING, levels

TIGHT = Confinement(user=10001, container=True, capabilities=0, no_new_privileges=True, huge_pages="madvise")


def test_root() -> None:
    """Root is told of, anybody else is not."""
    assert (levels(user(TIGHT)), levels(user(replace(TIGHT, user=0)))) == ([OK], [WARNING])


def test_privileges_in_a_container() -> None:
    """Capabilities that are held or could be gained are told of, within a container."""
    loose = replace(TIGHT, no_new_privileges=False)
    told = [TIGHT, loose, replace(TIGHT, capabilities=1), replace(loose, container=False)]
    assert [levels(privileges(facts)) for facts in told] == [[OK], [WARNING], [WARNING], [OK]]


@pytest.mark.parametrize("chosen", ["always", "madvise", ""])
def test_huge_pages(chosen: str) -> None:
    """They are told, and nothing is said against any."""
    assert levels(huge_pages(replace(TIGHT, huge_pages=chosen))) == [OK]


def test_reading(tmp_path: Path) -> None:
    """The kernel's own words are read."""
    (tmp_path / "status").write_text("Name:\tx\nCapEff:\t00000000a80425fb\nNoNewPrivs:\t1\n")
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    facts = read(Settings(), tmp_path / "status", tmp_path / "enabled")
    assert (facts.user, facts.capabilities, facts.no_new_privileges) == (os.geteuid(), 0xA80425FB, True)
    assert facts.huge_pages == "madvise"
