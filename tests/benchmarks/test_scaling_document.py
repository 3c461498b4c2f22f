import re
from pathlib import Path

import pytest

from benchmarks.scaling.inputs import ROOT, read_inputs
from benchmarks.scaling.markdown import WIDTH, wrapped
from benchmarks.scaling.service_times import cpu_work

_DOCUMENT = ROOT / "docs" / "scaling.md"


def _text() -> str:
    return _DOCUMENT.read_text(encoding="utf-8")


def test_made_from_the_committed_measurements() -> None:
    """The page tells the processor time that the reports tell now; else it must be made again."""
    inputs = read_inputs()
    work = cpu_work(inputs)

    told = " ".join(_text().split())

    assert f"{work.whole_s * 1e3:.1f} ms of processor time an image of `{inputs.measured.model}`" in told
    assert f"{work.event_loop_s * 1e3:.1f} ms is the event loop's" in told


def test_it_says_what_is_assumed() -> None:
    """That no GPU was run stands at the page's head."""
    assert "No GPU was ever run" in _text().partition("## In short")[0]


def test_pictures() -> None:
    """Every picture of the page is there, and small."""
    pictures = [_DOCUMENT.parent / name for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", _text())]

    assert len(pictures) == 7
    assert all(picture.stat().st_size < 60_000 for picture in pictures)


@pytest.mark.parametrize(
    "name", re.findall(r"\]\((?!images/)([a-z./A-Z_]+\.md)", _DOCUMENT.read_text(encoding="utf-8"))
)
def test_links(name: str) -> None:
    """What the page points to is there."""
    assert (_DOCUMENT.parent / name).resolve().is_relative_to(ROOT)
    assert Path(_DOCUMENT.parent / name).is_file()


def test_no_figure_is_missing() -> None:
    """No placeholder and no figure of nothing is left in the page."""
    assert not re.search(r"\{[a-z_]+[:}]|\bnan\b|\binf\b", _text())


def test_wrapped() -> None:
    """Paragraphs and list items are broken anew, tables stay."""
    row = f"| {'cell ' * 50}|"
    text = f"# Head\n\n{'word ' * 60}\n\n- {'item ' * 40}\n- short\n\n{row}\n{row}\n"

    lines = wrapped(text).splitlines()

    assert all(len(line) <= WIDTH for line in lines if not line.startswith("|"))
    assert lines.count(row) == 2
    assert "- short" in lines
    assert sum(line.startswith("  item") for line in lines) == 1
