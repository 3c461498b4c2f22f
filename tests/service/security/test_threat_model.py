"""The threat model names tests that prove it; they are there."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
DOCUMENT = TESTS.parent / "docs/security.md"
ROWS = re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$", DOCUMENT.read_text(), re.MULTILINE)[1:]


def is_there(name: str) -> bool:
    """Whether there is a test, a file of tests, or a folder of that name."""
    if name.startswith("test_") and not name.endswith(".py"):
        return any(f"def {name}(" in path.read_text() for path in TESTS.rglob("test_*.py"))
    return any(str(path).endswith(f"/{name}") for path in TESTS.parent.glob("tests/**/*"))


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_threat_has_a_proof_that_is_there(number: int) -> None:
    """Each threat but that of dependencies, which are looked at otherwise, names a test; each name leads to one."""
    threat, proof = ROWS[number]
    names = re.findall(r"`([^`]+)`", proof)
    assert names or "dependency" in threat
    assert [name for name in names if not is_there(name)] == []
