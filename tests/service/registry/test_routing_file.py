"""``routing.yaml``: followed when it changes, and when it is wrong the last good one holds on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from contract.task import Task
from service.registry.routing_file import RoutingFile
from service.registry.traffic import ModelTraffic, Routing

GOOD = """
models:
  colours:
    aliases: {canary: 2}
    weights: {stable: 90, canary: 10}
    sticky: header:X-User
tasks:
  classify: colours@canary
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "routing.yaml"


def test_no_file_routes_nothing(path: Path) -> None:
    """Without the file there is no routing, and that is said once."""
    file = RoutingFile(path)
    assert (file.changed(), file.problem) == (Routing(), None)
    assert file.changed() is None


def test_the_file_is_followed_when_it_changes(path: Path) -> None:
    """Its content is read once; another content is read again, and a file that is gone routes nothing."""
    file = RoutingFile(path)
    path.write_text(GOOD)
    routing = file.changed()
    assert routing is not None
    assert routing.models["colours"].weights == {"stable": 90, "canary": 10}
    assert routing.tasks == {Task.CLASSIFY: "colours@canary"}
    assert file.changed() is None
    path.unlink()
    assert file.changed() == Routing()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("models: [", "while parsing"),
        ("models: {colours: {weights: {canary: 10}}}", "models.colours"),
        ("tasks: {paint: colours}", "tasks.paint"),
        ("42", "Routing"),
        ("\x00", "special characters"),
        ("x: " + "y" * (1 << 20), "larger"),
    ],
)
def test_a_wrong_file_leaves_what_held(path: Path, text: str, reason: str) -> None:
    """Content that is not valid changes nothing, and says why until it is mended."""
    file = RoutingFile(path)
    path.write_text(text)
    assert file.changed() is None
    assert file.problem is not None
    assert reason in file.problem
    path.write_text(GOOD)
    assert file.changed() is not None
    assert file.problem is None


def test_an_edit_is_whole_and_read_again_by_others(path: Path) -> None:
    """An edit keeps what else the file says; who made it has no news of it, others have."""
    path.write_text(GOOD)
    ours, theirs = RoutingFile(path), RoutingFile(path)
    before = theirs.changed()
    assert before is not None
    traffic = before.models["colours"].model_copy(update={"pinned": True})
    after = ours.edit(lambda routing: routing.with_model("colours", traffic))
    assert (after.models["colours"], after.tasks) == (traffic, before.tasks)
    assert ours.changed() is None
    assert theirs.changed() == after
    assert [entry.name for entry in path.parent.iterdir()] == ["routing.yaml"]


def test_edits_of_several_gateways_are_all_kept(path: Path) -> None:
    """Gateways that change the file at the same time lose nothing of each other's."""

    def pin(number: int) -> None:
        RoutingFile(path).edit(lambda routing: routing.with_model(f"model{number}", ModelTraffic(pinned=True)))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(pin, range(40)))
    found = RoutingFile(path).changed()
    assert found is not None
    assert len(found.models) == 40


def test_an_edit_that_makes_no_sense_is_not_written(path: Path) -> None:
    """What an edit makes invalid is refused, and the file stays as it was."""
    path.write_text(GOOD)
    wrong = ModelTraffic.model_construct(weights={"nobody": 1.0}, aliases={})
    with pytest.raises(ValueError, match="nobody"):
        RoutingFile(path).edit(lambda routing: routing.with_model("colours", wrong))
    assert path.read_text() == GOOD
