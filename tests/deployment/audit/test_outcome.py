"""How an audit ends."""

import pytest

from deploy.audit.outcome import Audit, Status, Weakness

A_WEAKNESS = Weakness("lib", "1.0", "PYSEC-1", ("CVE-2026-1",), ("1.1",))


@pytest.mark.parametrize(
    ("audit", "status"),
    [
        (Audit("pypi", 3), Status.CLEAN),
        (Audit("pypi", 3, (A_WEAKNESS,)), Status.VULNERABLE),
        (Audit("pypi", 0, failure="no network"), Status.NOT_CHECKED),
        (Audit("pypi", 2, unchecked={"lib": "not found"}), Status.NOT_CHECKED),
        (Audit("pypi", 2, (A_WEAKNESS,), {"other": "not found"}), Status.VULNERABLE),
    ],
    ids=["clean", "weak", "no network", "one unknown", "weak and one unknown"],
)
def test_what_was_not_checked_is_not_clean(audit: Audit, status: Status) -> None:
    """Clean means that every package was looked up and none is known to be weak; the statuses differ."""
    assert audit.status is status
    assert audit.lines[0].startswith(status.name.replace("_", " "))


def test_a_weakness_is_told_whole() -> None:
    """A line says which version, what it is called, and which version is without it."""
    assert A_WEAKNESS.line == "lib 1.0: PYSEC-1 (CVE-2026-1); fixed in 1.1"
