"""Repositories that are whole, and broken ones: real files."""

import shutil
from pathlib import Path

import pytest

from contract.repository import Repository
from contract.task import Task
from service.doctor import health
from service.doctor.finding import Finding
from service.doctor.repository import RepositoryFacts, VersionFacts, read
from service.settings import Settings
from tests.cards import a_card
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only
from tests.tiny_models import write_version


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one version, which nobody changes."""
    root = tmp_path_factory.mktemp("one")
    write_version(root, "colours")
    return root


@pytest.fixture
def root(one_model: Path, tmp_path: Path) -> Path:
    """A copy of it, to be broken."""
    return Path(shutil.copytree(one_model, tmp_path / "models"))


def examined(root: Path, **settings: object) -> dict[str, list[Finding]]:
    """What the checks say of a repository."""
    return health.GROUP.examine(Settings(repository=root, **settings))


def bad(root: Path, **settings: object) -> list[tuple[str, Finding]]:
    """What they say against it."""
    told = examined(root, **settings)
    return [(name, finding) for name, findings in told.items() for finding in findings if finding.level != OK]


def test_a_whole_repository(tiny_repository: Path) -> None:
    """Nothing is said against a repository that the tests of the service serve."""
    assert bad(tiny_repository) == []


def test_every_check_tells(root: Path) -> None:
    """Each check says one thing where all is well."""
    assert [levels(findings) for findings in examined(root).values()] == [[OK]] * 8


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_no_model(folder: str, tmp_path: Path) -> None:
    """A folder that is not there, or that holds nothing, is a problem."""
    (tmp_path / "empty").mkdir()
    ((check, finding),) = bad(tmp_path / folder)
    assert (check, finding.level) == ("repository", PROBLEM)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The folder is told whole, for a relative one depends on where the command runs, and what makes one."""
    (tmp_path / "a_file").touch()
    for name in ("absent", "a_file"):
        told = only(finding for _, finding in bad(tmp_path / name))
        assert told.found == f"the repository {tmp_path / name} is no folder, or is not there"
        assert "--repository" in told.change
        assert "vitrail-build build" in told.change
        assert "chmod" not in told.change


def test_a_repository_that_may_not_be_read(tmp_path: Path) -> None:
    """What a system's refusal keeps from view is a problem, and nothing is said to be well that nobody saw."""
    told = {check.__name__: only(check(RepositoryFacts(tmp_path, denied="a/1: Permission denied")))
            for check in (health.folder, health.cards, health.files, health.goldens)}  # fmt: skip
    assert (told["folder"].level, "a/1: Permission denied" in told["folder"].found) == (PROBLEM, True)
    assert {told[name].found for name in ("cards", "files", "goldens")} == {"there is nothing to look at"}


def test_a_version_without_a_card(root: Path) -> None:
    """A folder that was copied in part is passed over, and named."""
    shutil.copytree(root / "colours" / "1", root / "colours" / "2")
    (root / "colours" / "2" / "card.json").unlink()
    ((_, finding),) = bad(root)
    assert (finding.level, finding.found) == (WARNING, "colours/2 is no complete version, and is passed over")


def test_a_broken_card(root: Path) -> None:
    """A card that cannot be read is told of, with the reason."""
    (root / "colours" / "1" / "card.json").write_text("{}")
    ((check, finding),) = bad(root)
    assert (check, finding.level, "Field required" in finding.found) == ("cards", PROBLEM, True)


@pytest.mark.parametrize("name", ["model.onnx", "golden.npz", "labels.txt"])
def test_a_missing_file(name: str, root: Path) -> None:
    """A file that is gone, or empty, is named."""
    (root / "colours" / "1" / name).write_bytes(b"")
    assert [(check, finding.found) for check, finding in bad(root)] == [("files", f"colours:1 lacks {name}")]


def test_an_unreadable_file(tmp_path: Path) -> None:
    """A file that this user may not read is named, with the way to open it."""
    facts = RepositoryFacts(tmp_path, versions=(VersionFacts("colours:1", a_card(), denied=("model.onnx",)),))
    finding = only(health.files(facts))
    assert (finding.found, finding.change) == (
        "colours:1: this user may not read model.onnx",
        f"chmod -R a+rX {tmp_path}",
    )


def test_broken_golden_outputs(root: Path) -> None:
    """A golden file that cannot be read keeps the version from traffic."""
    (root / "colours" / "1" / "golden.npz").write_bytes(b"PK nonsense")
    ((check, finding),) = bad(root)
    assert (check, finding.level) == ("golden outputs", PROBLEM)


def test_golden_outputs_of_another_model(root: Path, tmp_path: Path) -> None:
    """A golden file whose outputs are not the card's is found."""
    write_version(tmp_path / "others", "points", task=Task.EMBED)
    shutil.copy(tmp_path / "others" / "points" / "1" / "golden.npz", root / "colours" / "1" / "golden.npz")
    ((check, finding),) = bad(root)
    assert (check, "embedding, probabilities" in finding.found) == ("golden outputs", True)


def test_a_certificate_that_was_not_passed(root: Path) -> None:
    """A version whose certificate failed will take no traffic."""
    repository = Repository(root)
    card = repository.read_card("colours", 1)
    failed = card.certificate.model_copy(update={"passed": False})
    repository.rewrite_card("colours", 1, card.model_copy(update={"certificate": failed}))
    ((check, finding),) = bad(root)
    assert (check, finding.level) == ("certificates", PROBLEM)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("TYPE_FP32", "TYPE_FP16", "differs from the card"),
        ("max_batch_size: 4", "max_batch_size: 64", "batches of 64; version 1 is certified to 4"),
        ("platform:", "backend_of:", "not written by the builder"),
    ],
)
def test_a_configuration_that_says_otherwise(old: str, new: str, words: str, root: Path) -> None:
    """A config.pbtxt with other tensors, larger batches, or from another hand is told of."""
    path = root / "colours" / "config.pbtxt"
    path.write_text(path.read_text().replace(old, new))
    ((check, finding),) = bad(root)
    assert (check, finding.level, words in finding.found) == ("Triton's configurations", WARNING, True)


@pytest.mark.parametrize("name", [".2.tmp-abc", ".config.pbtxt.x1y2"])
def test_what_a_killed_writer_left(name: str, root: Path) -> None:
    """Scratch folders and files that nobody finished are named with the way to remove them."""
    (root / "colours" / name).mkdir()
    ((check, finding),) = bad(root)
    assert (check, finding.change.endswith(str(root / "colours" / name))) == ("unfinished writes", True)


def test_an_invalid_routing(root: Path) -> None:
    """A routing.yaml that is not followed is a problem, with the reason."""
    (root / "routing.yaml").write_text("models: {colours: {weights: {canary: 10}}}")
    ((check, finding),) = bad(root)
    assert (check, finding.level, "canary" in finding.found) == ("routing", PROBLEM, True)


def test_a_routing_to_nowhere(root: Path) -> None:
    """Models, versions and defaults that the repository lacks are named, with who names them."""
    (root / "routing.yaml").write_text(
        "models: {colours: {aliases: {canary: 7}}, gone: {pinned: true}}\ntasks: {detect: colours}"
    )
    told = sorted(finding.found for _, finding in bad(root, default_models={"embed": "colours"}))
    assert [text.partition(",")[0] for text in told] == [
        "--default-models names colours for embed",
        "routing.yaml names colours for detect",
        "routing.yaml names colours:7",
        "routing.yaml names gone",
    ]


def test_a_routing_that_leads_somewhere(root: Path) -> None:
    """A routing over what is there is well."""
    (root / "routing.yaml").write_text("models: {colours: {aliases: {stable: 1}}}\ntasks: {classify: colours@stable}")
    assert only(examined(root)["routing"]).found == "what routing.yaml names is there"


def test_looking_changes_nothing(root: Path) -> None:
    """After the checks every file is as it was, down to its time."""

    def state() -> list[tuple[str, float]]:
        return sorted((str(path), path.stat().st_mtime) for path in root.rglob("*"))

    before = state()
    read(Settings(repository=root))
    assert state() == before
