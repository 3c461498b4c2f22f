"""A step holds what it promises, or says that it does not."""

from pathlib import Path

import pytest

from build_engines.artifact import Artifact, Step, StepFailed
from build_engines.catalog.loader import entries
from build_engines.pipeline import steps
from tests.build_engines.orders import an_entry, an_order

LABELLED = ("cat", "dog")


def naming(artifact: Artifact) -> Artifact:
    """Learn the labels."""
    return artifact.having(labels=LABELLED)


def idle(artifact: Artifact) -> Artifact:
    """Learn nothing."""
    return artifact


def test_a_step_gives_what_it_promises(tmp_path: Path) -> None:
    """A step returns a copy that knows more; the artifact that it got stays as it was."""
    before = Artifact(an_order(tmp_path))
    after = Step("name", naming, requires=(), ensures=("labels",))(before)
    assert (before.labels, after.labels) == (None, LABELLED)


def test_a_requirement_is_checked_first(tmp_path: Path) -> None:
    """A step that lacks something does not run, and says what it lacks."""
    step = Step("name", naming, requires=("model", "output_names"), ensures=("labels",))
    with pytest.raises(StepFailed, match=r"name: needs \['model', 'output_names'\]"):
        step(Artifact(an_order(tmp_path)))


def test_a_broken_promise_is_found(tmp_path: Path) -> None:
    """A step that returns without what it promised fails under its own name."""
    with pytest.raises(StepFailed, match=r"idle: promised \['labels'\]"):
        Step("idle", idle, requires=(), ensures=("labels",))(Artifact(an_order(tmp_path)))


def test_promises_are_about_fields_that_exist() -> None:
    """A misspelt field is refused when the step is defined."""
    with pytest.raises(ValueError, match=r"no \['lables'\]"):
        Step("name", naming, requires=(), ensures=("lables",))


@pytest.mark.parametrize("entry", [*entries(), an_entry()], ids=lambda entry: entry.name)
def test_the_order_of_steps_satisfies_them_all(entry: object, tmp_path: Path) -> None:
    """For every kind of entry, what each step requires is what the steps before it ensure."""
    # A source gives a pyramid where a head is to follow, which no static promise can say.
    known = {"pyramid"} if entry.head else set()
    for step in steps(an_order(tmp_path, entry)):
        assert set(step.requires) <= known, step.name
        known |= set(step.ensures)
    assert {"version", "path"} <= known
