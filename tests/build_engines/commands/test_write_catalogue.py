"""The catalogue's page says what became of every entry."""

from build_engines.commands.write_catalogue import page
from build_engines.results import Row
from contract.task import Task
from tests.build_engines.orders import an_entry

ENTRY = an_entry(published={"parameters": 1000}, reference="https://example.org/paper")
ROW = Row(
    name="small",
    task=Task.CLASSIFY,
    source="timm",
    weights="random",
    fingerprint="f",
    certified=True,
    parameters=1010,
    gmacs=0.1234,
    exporter="tracer",
    batch_sizes=(1, 2, 3),
    max_relative_error=1.5e-6,
    seconds=3,
)


def test_a_certified_entry_has_its_figures() -> None:
    """Parameters, work, way, batch sizes and error stand in the entry's line."""
    written = page((ENTRY,), {"small": ROW})
    (line,) = [line for line in written.splitlines() if line.startswith("| `small`")]
    assert [cell.strip() for cell in line.split("|")][3:10] == [
        "1,010",
        "1,000",
        "0.123",
        "",
        "tracer",
        "1 … 3",
        "2e-06",
    ]
    assert "1 of 1 entries are certified (100.0%)" in written


def test_figures_that_differ_are_marked() -> None:
    """A number of parameters that is 3 % off the published one gets a mark."""
    assert "1,000 ! |" in page((ENTRY,), {"small": ROW.model_copy(update={"parameters": 1030})})


def test_failures_are_told_with_their_reason() -> None:
    """An entry that is not certified, and one without a plan, stand with their diagnosis in one line each."""
    failed = Row.model_validate(
        ROW.model_dump()
        | {"certified": False, "step": "verify", "reason": "off\nby far", "plan": False, "plan_problem": "no Mod"}
    )
    written = page((ENTRY,), {"small": failed})
    assert "- `small`, step verify: off by far" in written
    assert "- `small`: no Mod" in written
    assert "0 of 1 have a TensorRT-RTX plan (0.0%)" in written


def test_what_was_not_built_is_named() -> None:
    """An entry without an outcome is not left out silently."""
    assert "Not built yet: small" in page((ENTRY,), {})
