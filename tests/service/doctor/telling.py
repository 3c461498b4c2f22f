"""What a check told, in the form that tests compare."""

from collections.abc import Iterable

from service.doctor.finding import Finding, Level

OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM


def levels(findings: Iterable[Finding]) -> list[Level]:
    """How bad each finding is."""
    return [finding.level for finding in findings]


def only(findings: Iterable[Finding]) -> Finding:
    """The finding; the test fails if there is another number of them."""
    (finding,) = findings
    return finding
