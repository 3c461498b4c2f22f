"""The repository: a version comes into it wholly or not at all."""

from pathlib import Path
from typing import Any

import pytest

from contract.repository import CARD, CONFIG, Repository, RepositoryError
from contract.task import Task
from tests.cards import a_card, a_spec, a_tensor, a_tuning


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty repository."""
    return Repository(tmp_path / "models")


def write(repository: Repository, model: str = "tiny", version: int = 1) -> Path:
    """Write a version that consists of its card."""
    with repository.writing(model, version) as folder:
        (folder / CARD).write_text(a_card(name=model, version=version).model_dump_json())
    return repository.version_path(model, version)


def fail_halfway(folder: Path, error: type[BaseException]) -> None:
    """Write a file, then raise."""
    (folder / "model.onnx").write_bytes(b"half")
    raise error


def test_a_written_version_is_read_back(repository: Repository) -> None:
    """What was written is listed and read, and the folder is open to other users of the machine."""
    folder = write(repository)

    assert (repository.models(), repository.versions("tiny")) == (["tiny"], [1])
    assert repository.read_card("tiny", 1) == a_card()
    assert folder.stat().st_mode & 0o777 == 0o755


def test_versions_are_sorted_by_number(repository: Repository) -> None:
    """Version 10 comes after version 9."""
    for version in (10, 9, 1, 100):
        write(repository, version=version)

    assert repository.versions("tiny") == [1, 9, 10, 100]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_nothing(repository: Repository, error: type[BaseException]) -> None:
    """Whatever breaks off the writing of a model's first version, nothing of it stays, not even the model's folder."""
    with pytest.raises(error), repository.writing("tiny", 1) as folder:
        fail_halfway(folder, error)

    assert list(repository.root.iterdir()) == []


def test_a_failed_write_keeps_the_older_versions(repository: Repository) -> None:
    """A second version that fails leaves the first as it was, and nothing else."""
    write(repository)
    with pytest.raises(ValueError), repository.writing("tiny", 2):
        raise ValueError

    assert [path.name for path in repository.model_path("tiny").iterdir()] == ["1"]


def test_an_unfinished_version_is_not_listed(repository: Repository) -> None:
    """While a version is being written, and where a killed writer left it, neither it nor its model is listed."""
    with repository.writing("tiny", 1) as folder:
        (folder / CARD).write_text(a_card().model_dump_json())

        assert folder.name.startswith(".")
        assert (repository.models(), repository.versions("tiny")) == ([], [])


def test_a_version_without_a_card_is_refused(repository: Repository) -> None:
    """A version without a card would be invisible and could never be written again: the writing fails."""
    with pytest.raises(RepositoryError, match="without a card"), repository.writing("tiny", 1):
        pass

    assert list(repository.root.iterdir()) == []


def test_an_existing_version_is_never_overwritten(repository: Repository) -> None:
    """Writing a version that is there already is refused before anything is done."""
    card = write(repository) / CARD
    before = card.read_bytes()

    with pytest.raises(RepositoryError, match="already"):
        write(repository)
    assert card.read_bytes() == before


def test_the_quicker_of_two_writers_wins(repository: Repository) -> None:
    """Of two writers of one version the later is refused, and the earlier's version stays."""
    late = repository.writing("tiny", 1)
    (late.__enter__() / CARD).write_text("late")
    write(repository)

    with pytest.raises(RepositoryError, match="meanwhile"):
        late.__exit__(None, None, None)
    assert repository.read_card("tiny", 1) == a_card()
    assert [path.name for path in repository.model_path("tiny").iterdir()] == ["1"]


@pytest.mark.parametrize("name", ["..", "../up", "a/b", "/etc", ".hidden", "", "Upper", "a\x00b", "a\n"])
def test_names_that_could_escape_are_refused(repository: Repository, name: str) -> None:
    """A name that could lead out of the repository is refused wherever one is taken."""
    with pytest.raises(RepositoryError):
        repository.versions(name)
    with pytest.raises(RepositoryError):
        repository.read_card(name, 1)
    with pytest.raises(RepositoryError), repository.writing(name, 1):
        pytest.fail("a folder was given")


@pytest.mark.parametrize("version", [0, -1, 10**9])
def test_versions_out_of_range_are_refused(repository: Repository, version: int) -> None:
    """Versions are numbers from 1 that `versions` would list again."""
    with pytest.raises(RepositoryError, match="count from 1"):
        repository.version_path("tiny", version)


def test_another_versions_card_is_refused(repository: Repository) -> None:
    """A folder that holds the card of another version, or of another model, is not that version."""
    with repository.writing("tiny", 2) as folder:
        (folder / CARD).write_text(a_card(version=1).model_dump_json())

    with pytest.raises(RepositoryError, match="holds the card of tiny:1"):
        repository.read_card("tiny", 2)


@pytest.mark.parametrize("text", ["", "{}", "[1", '{"card_schema": 2}', "\xff"])
def test_a_broken_card_is_refused(repository: Repository, text: str) -> None:
    """A card that is no card raises the repository's own error, and says which version has it."""
    card = write(repository) / CARD
    card.write_text(text, encoding="latin-1")

    with pytest.raises(RepositoryError, match="tiny:1 has no readable card"):
        repository.read_card("tiny", 1)


def test_what_is_no_version_is_overlooked(repository: Repository) -> None:
    """Strange folders and files in a repository are neither models nor versions."""
    write(repository)
    for name in ("01", "x", "2", ".3.tmp-abc"):
        (repository.model_path("tiny") / name).mkdir()
    (repository.root / "README.md").write_text("")
    (repository.root / "Not A Model" / "1").mkdir(parents=True)

    assert (repository.models(), repository.versions("tiny")) == (["tiny"], [1])


def test_a_repository_that_is_not_there_is_empty(repository: Repository) -> None:
    """A folder that does not exist has no models, and none of any model's versions."""
    assert (repository.models(), repository.versions("tiny")) == ([], [])


def test_the_configuration_is_replaced_whole(repository: Repository) -> None:
    """A configuration replaces the one before, readable for others, and leaves no scratch file."""
    write(repository)
    repository.write_config("tiny", "old and longer")
    repository.write_config("tiny", "new")

    config = repository.model_path("tiny") / CONFIG
    assert (config.read_text(), config.stat().st_mode & 0o777) == ("new", 0o644)
    assert sorted(path.name for path in config.parent.iterdir()) == ["1", CONFIG]


def test_a_failed_configuration_keeps_the_old_one(repository: Repository) -> None:
    """A text that cannot be written leaves the old configuration and no scratch file."""
    write(repository)
    repository.write_config("tiny", "old")
    with pytest.raises(UnicodeEncodeError):
        repository.write_config("tiny", "\ud800")

    assert (repository.model_path("tiny") / CONFIG).read_text() == "old"
    assert sorted(path.name for path in repository.model_path("tiny").iterdir()) == ["1", CONFIG]


def test_a_card_is_rewritten_whole(repository: Repository) -> None:
    """What was measured comes into a version's card, readable for others, and leaves no scratch file."""
    folder = write(repository)
    before = sorted(path.name for path in folder.iterdir())
    tuned = a_card(tuning=a_tuning(), batch_sizes=(1, 2))
    repository.rewrite_card("tiny", 1, tuned)

    assert repository.read_card("tiny", 1) == tuned
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / CARD).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"version": 2},
        {"task": Task.EMBED},
        {"outputs": (a_tensor("probabilities", 4),)},
        {"preprocess": a_spec(height=64)},
    ],
    ids=["name", "version", "task", "outputs", "input"],
)
def test_what_a_version_is_cannot_be_rewritten(repository: Repository, changes: dict[str, Any]) -> None:
    """A card that would make another model of a version is refused, and the one that is there stays."""
    write(repository)

    with pytest.raises(RepositoryError, match="cannot change"):
        repository.rewrite_card("tiny", 1, a_card(**changes))
    assert repository.read_card("tiny", 1) == a_card()


def test_a_card_that_is_not_there_is_not_rewritten(repository: Repository) -> None:
    """Only the card of a complete version can be replaced."""
    with pytest.raises(RepositoryError, match="no readable card"):
        repository.rewrite_card("tiny", 1, a_card())
    assert not repository.model_path("tiny").exists()
