"""The model repository as it lies on disk: read, never written, and no model is opened."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contract.card import ModelCard, Platform
from contract.repository import CARD, CONFIG, GOLDEN, LABELS, Repository, RepositoryError
from contract.task import Task
from service.registry.golden import Golden, GoldenMismatch
from service.registry.routing_file import NAME as ROUTING
from service.registry.routing_file import RoutingFile
from service.registry.traffic import Routing
from service.settings import Settings

_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_SCRATCH = re.compile(r"\.[1-9][0-9]{0,8}\.tmp-.+|\.(card\.json|config\.pbtxt|routing\.yaml)\..+")
_PROGRAM = "model.py"


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version's folder."""

    name: str
    """``model:version``."""
    card: ModelCard | None
    unreadable_card: str = ""
    """Why the card cannot be read."""
    missing: tuple[str, ...] = ()
    """Files that are not there, or are empty."""
    denied: tuple[str, ...] = ()
    """Files and folders that this user may not read."""
    golden: str = ""
    """What is wrong with the golden images and outputs."""


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """All of it."""

    root: Path
    absent: bool = False
    """There is no such folder."""
    denied: str = ""
    """Why the folder, or one within it, cannot be listed."""
    versions: tuple[VersionFacts, ...] = ()
    incomplete: tuple[str, ...] = ()
    """Folders of versions, or of models, that hold no card and that nobody will load."""
    left_over: tuple[str, ...] = ()
    """What a writer that was killed has left behind."""
    configs: dict[str, str | None] | None = None
    """``config.pbtxt`` by model; None where there is none."""
    routing: Routing | None = None
    routing_problem: str = ""
    defaults: dict[Task, str] | None = None
    """``--default-models``."""

    @property
    def cards(self) -> list[ModelCard]:
        """Those that can be read."""
        return [version.card for version in self.versions if version.card is not None]


def readable_cards(root: Path) -> Iterator[ModelCard]:
    """The cards of complete versions, without those that are broken."""
    repository = Repository(root)
    try:
        for model in repository.models():
            for version in repository.versions(model):
                try:
                    yield repository.read_card(model, version)
                except RepositoryError:
                    continue
    except OSError:
        return


def read(settings: Settings) -> RepositoryFacts:
    """Read every card and every golden file, and look at all others."""
    root = settings.repository
    if _is_absent(root):
        return RepositoryFacts(root, absent=True)
    try:
        # Who may not enter a folder may at times list it, and the other way round.
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        for folder in folders:
            os.scandir(folder).close()
        return _read(settings, folders)
    except OSError as error:
        place = Path(error.filename or root)
        where = f"{place.relative_to(root)}: " if place != root and place.is_relative_to(root) else ""
        return RepositoryFacts(root, denied=f"{where}{error.strerror}")


def _is_absent(root: Path) -> bool:
    """Whether it is no folder; False where nobody may look."""
    try:
        return not stat.S_ISDIR(root.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _read(settings: Settings, folders: list[Path]) -> RepositoryFacts:
    repository = Repository(settings.repository)
    models = repository.models()
    file = RoutingFile(settings.repository / ROUTING)
    return RepositoryFacts(
        settings.repository,
        versions=tuple(
            _version(repository, model, number) for model in models for number in repository.versions(model)
        ),
        incomplete=tuple(_incomplete(repository, folders)),
        left_over=tuple(_left_over(settings.repository, folders)),
        configs={model: _text(repository.model_path(model) / CONFIG) for model in models},
        routing=file.changed(),
        routing_problem=file.problem or "",
        defaults=dict(settings.default_models),
    )


def _version(repository: Repository, model: str, number: int) -> VersionFacts:
    folder = repository.version_path(model, number)
    name = f"{model}:{number}"
    denied = tuple(path.name for path in [folder, *sorted(folder.iterdir())] if not _may_read(path))
    try:
        card = repository.read_card(model, number)
    except RepositoryError as error:
        return VersionFacts(name, None, str(error), denied=denied)
    missing = tuple(file for file in _wanted(card) if not _has_content(folder / file))
    golden = "" if GOLDEN in (*missing, *denied) else _golden(folder / GOLDEN, card)
    return VersionFacts(name, card, missing=missing, denied=denied, golden=golden)


def _wanted(card: ModelCard) -> Iterator[str]:
    yield CARD
    yield card.platform.filename
    yield GOLDEN
    if card.platform is Platform.PYTHON:
        yield _PROGRAM
    if card.labels:
        yield LABELS


def _golden(path: Path, card: ModelCard) -> str:
    try:
        golden = Golden.read(path)
    except GoldenMismatch as error:
        return str(error)
    if golden.images.shape[1:] != card.input.shape:
        return f"its images are {golden.images.shape[1:]}, and the model takes {card.input.shape}"
    if other := set(golden.outputs) ^ {output.name for output in card.outputs}:
        return f"{', '.join(sorted(other))} is not both recorded and in the card"
    return ""


def _incomplete(repository: Repository, folders: list[Path]) -> Iterator[str]:
    known = set(repository.models())
    for folder in folders:
        numbers = [entry.name for entry in sorted(folder.iterdir()) if _VERSION.fullmatch(entry.name)]
        if folder.name not in known and not numbers:
            yield folder.name
        yield from (f"{folder.name}/{number}" for number in numbers if not (folder / number / CARD).is_file())
        if folder.name not in known and numbers and all((folder / number / CARD).is_file() for number in numbers):
            yield f"{folder.name} (no name that a model may have)"


def _left_over(root: Path, folders: list[Path]) -> Iterator[str]:
    for folder in (root, *folders):
        for entry in sorted(folder.iterdir()):
            if _SCRATCH.fullmatch(entry.name):
                yield str(entry.relative_to(root))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def _may_read(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
