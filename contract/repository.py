"""Where a model repository keeps what, and how a version comes into it: wholly, or not at all."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import ValidationError

from contract.card import ModelCard
from contract.validation import first_problem

CARD = "card.json"
LABELS = "labels.txt"
GOLDEN = "golden.npz"
CONFIG = "config.pbtxt"

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")

_IDENTITY = ("name", "version", "task", "input", "outputs")
"""The card's fields that say what a version is; the others say what is known of it."""


class RepositoryError(Exception):
    """A model repository that cannot be read or written as asked."""


class Repository:
    """A folder of models, each a folder of numbered versions, as Triton lays it out."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def models(self) -> list[str]:
        """Names of the models that have at least one complete version, sorted."""
        if not self.root.is_dir():
            return []
        names = (entry.name for entry in self.root.iterdir() if entry.is_dir() and _NAME.fullmatch(entry.name))
        return sorted(name for name in names if self.versions(name))

    def versions(self, model: str) -> list[int]:
        """Complete versions of a model, ascending; unfinished (temporary) folders are not among them."""
        folder = self.model_path(model)
        if not folder.is_dir():
            return []
        numbers = (entry.name for entry in folder.iterdir() if _VERSION.fullmatch(entry.name))
        return sorted(int(number) for number in numbers if (folder / number / CARD).is_file())

    def model_path(self, model: str) -> Path:
        """The model's folder; RepositoryError for a name that could lead out of the repository."""
        if not _NAME.fullmatch(model):
            raise RepositoryError(f"{model!r} is not a model name: lower-case letters, digits, '_', '.' and '-' only")
        return self.root / model

    def version_path(self, model: str, version: int) -> Path:
        """The version's folder, there or not."""
        if not _VERSION.fullmatch(str(version)):
            raise RepositoryError(f"versions count from 1 to 999999999, not {version}")
        return self.model_path(model) / str(version)

    def read_card(self, model: str, version: int) -> ModelCard:
        """Read and check a card; RepositoryError if it is absent, broken, or another version's."""
        path = self.version_path(model, version) / CARD
        try:
            card = ModelCard.model_validate_json(path.read_bytes())
        except OSError as error:
            # The error's own text holds the path; this message travels further than that should.
            raise RepositoryError(f"{model}:{version} has no readable card: {error.strerror}") from error
        except ValidationError as error:
            raise RepositoryError(f"{model}:{version} has no readable card: {first_problem(error)}") from error
        if (card.name, card.version) != (model, version):
            raise RepositoryError(f"{model}:{version} holds the card of {card.name}:{card.version}")
        return card

    @contextmanager
    def writing(self, model: str, version: int) -> Iterator[Path]:
        """Give an empty folder to fill; it becomes the version when the block ends, and vanishes if it raises.

        The folder is a hidden sibling (Triton and `versions` overlook it), so the final rename is atomic. Raises
        RepositoryError if the version is there already (versions are never changed once written), also where another
        writer was quicker, or if the block ends without a card.
        """
        final = self.version_path(model, version)
        if final.exists():
            raise RepositoryError(f"{model}:{version} is there already; versions are never overwritten")
        parent_is_new = not final.parent.exists()
        final.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{version}.tmp-", dir=final.parent))
        with ExitStack() as undo:
            undo.callback(_remove, scratch, with_parent=parent_is_new)
            yield scratch
            _require_card(scratch, final)
            scratch.chmod(0o755)
            _flush(scratch)
            _rename(scratch, final)
            undo.pop_all()

    def write_config(self, model: str, text: str) -> None:
        """Replace the model's ``config.pbtxt`` atomically."""
        replace_file(self.model_path(model) / CONFIG, text.encode())

    def rewrite_card(self, model: str, version: int, card: ModelCard) -> None:
        """Replace the card of a complete version atomically, e.g. to add what was measured since it was built.

        What the version is must stay as it was: RepositoryError if the name, number, task, input or outputs differ
        from the card that is there, or if there is none to replace.
        """
        present = self.read_card(model, version)
        if changed := [field for field in _IDENTITY if getattr(card, field) != getattr(present, field)]:
            raise RepositoryError(
                f"a card's {', '.join(changed)} cannot change ({model}:{version}); build another version"
            )
        self.put_file(model, version, CARD, (card.model_dump_json(indent=2) + "\n").encode())

    def put_file(self, model: str, version: int, name: str, content: bytes) -> None:
        """Put a file into a version at once: a reader sees the old one or the new one, whole."""
        replace_file(self.version_path(model, version) / name, content)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file at once: a reader sees the old one or the new one, whole."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.chmod(0o644)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _require_card(scratch: Path, final: Path) -> None:
    """Refuse a folder that nobody would know for a version, and that nobody could ever write again."""
    if not (scratch / CARD).is_file():
        raise RepositoryError(f"{final.parent.name}:{final.name} was written without a {CARD}")


def _remove(scratch: Path, *, with_parent: bool) -> None:
    """Take an unfinished version away, and its model's folder too if it came with it and holds nothing else."""
    shutil.rmtree(scratch, ignore_errors=True)
    if with_parent and not any(scratch.parent.iterdir()):
        scratch.parent.rmdir()


def _rename(scratch: Path, final: Path) -> None:
    """Make a version of a finished folder; a folder that is there already is never replaced (POSIX rename)."""
    try:
        scratch.rename(final)
    except OSError as error:
        if final.exists():
            raise RepositoryError(f"{final.parent.name}:{final.name} was written by another meanwhile") from error
        raise


def _flush(folder: Path) -> None:
    """Make the files durable before the rename makes them visible."""
    for path in [*folder.iterdir(), folder]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
