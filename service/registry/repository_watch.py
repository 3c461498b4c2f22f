"""What stands in the repository now, and what of it rests.

It is read and compared rather than watched for: network file systems and Kubernetes' links tell of no changes.
"""

from dataclasses import dataclass

from contract.repository import Repository, RepositoryError

Key = tuple[str, int]
"""A version's model and number."""
Fingerprint = tuple[tuple[str, int, int], ...]
"""Name, size in bytes and time of change in nanoseconds of each file of a version."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a repository found."""

    present: frozenset[Key]
    """Every complete version."""
    resting: dict[Key, Fingerprint]
    """Those whose files are as they were at the look before; at the first look all."""


class RepositoryWatch:
    """Looks at a repository again and again.

    A version that somebody copies into place grows from look to look; it is read once it rests.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._before: dict[Key, Fingerprint] | None = None

    def look(self) -> Look:
        """What there is now; OSError if the repository cannot be read, for then nobody knows."""
        if not self._repository.root.is_dir():
            raise FileNotFoundError("the repository is not there")
        keys = [(model, number) for model in self._repository.models() for number in self._repository.versions(model)]
        found = {key: self.fingerprint(*key) for key in keys}
        before, self._before = self._before, found
        resting = {key: files for key, files in found.items() if before is None or before.get(key) == files}
        return Look(frozenset(found), resting)

    def fingerprint(self, model: str, number: int) -> Fingerprint:
        """The files of a version; none if it is not there."""
        try:
            folder = self._repository.version_path(model, number)
            files = [(entry.name, entry.stat()) for entry in folder.iterdir()]
        except (FileNotFoundError, RepositoryError):
            return ()
        return tuple(sorted((name, status.st_size, status.st_mtime_ns) for name, status in files))


def size_of(fingerprint: Fingerprint) -> int:
    """Bytes of all files."""
    return sum(size for _, size, _ in fingerprint)
