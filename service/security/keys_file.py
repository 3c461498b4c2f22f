"""The file of the API keys: read, checked, and read again when it has changed."""

import logging
from pathlib import Path

import yaml
from pydantic import ValidationError

from contract.validation import first_problem
from service.security.caller import Allowance
from service.security.keys import ENTRIES, KeyEntry, KeyRing

_LARGEST = 1 << 20
_DEEPEST = 8
"""Lists and mappings within each other; an entry has three."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_log = logging.getLogger("vitrail.security")


class UnusableKeys(Exception):
    """The keys file cannot be used; the message says why."""


class KeysFile:
    """The file, and the keys that it held when it could last be used."""

    def __init__(self, path: Path, allowance: Allowance) -> None:
        """Read it; UnusableKeys if that cannot be: a service that was to ask for keys does not start without."""
        self._path = path
        self._allowance = allowance
        self._content = content_of(path)
        self.ring = self._ring(self._content)
        self.problem: str | None = None
        """Why the file as it is now is not followed; None if it is."""

    def look(self) -> None:
        """Follow the file if it has changed; what cannot be used is told in the log, and what held before holds on."""
        try:
            content = content_of(self._path)
            if content != self._content:
                self._content = content
                self.ring = self._ring(content)
            elif self.problem is not None:
                # Broken as before, or readable again as it was: only the latter is news, and both are harmless.
                self.ring = self._ring(content)
        except UnusableKeys as error:
            if str(error) != self.problem:
                _log.error("%s; the %d keys from before hold on", error, len(self.ring))
            self.problem = str(error)
        else:
            self.problem = None

    def _ring(self, content: bytes) -> KeyRing:
        ring = KeyRing(parsed(content, self._path), self._allowance)
        _log.info("%d keys from %s", len(ring), self._path)
        return ring


def content_of(path: Path) -> bytes:
    """What a keys file holds, up to a byte more than it may; UnusableKeys says why it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        made = f"`vitrail-serve keys new --id NAME >> {path}` makes one"
        raise UnusableKeys(f"the keys file {path} does not exist; {made}") from error
    except OSError as error:
        raise UnusableKeys(f"the keys file {path} cannot be read: {error.strerror}") from error


def parsed(content: bytes, path: Path) -> list[KeyEntry]:
    """The entries of a keys file; UnusableKeys says what is wrong with it, never what a hash in it is."""
    if len(content) > _LARGEST:
        raise UnusableKeys(f"the keys file {path} is larger than {_LARGEST:,} bytes")
    try:
        _require_flat(content)
        entries = ENTRIES.validate_python(yaml.load(content, _LOADER) or [])  # noqa: S506 - one of the safe loaders
    except yaml.YAMLError as error:
        raise UnusableKeys(f"the keys file {path} is no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise UnusableKeys(f"the keys file {path} is wrong: {first_problem(error)}") from error
    except ValueError as error:
        # A day that there is not, or lists within lists without end.
        raise UnusableKeys(f"the keys file {path} cannot be read: {error}") from error
    hashes = [entry.sha256 for entry in entries]
    if len(set(hashes)) < len(hashes):
        raise UnusableKeys(f"the keys file {path} has a key twice; each entry needs one of its own")
    return entries


def _require_flat(content: bytes) -> None:
    """ValueError for lists within lists without end: the quick loader would take the process with it."""
    depth = 0
    for event in yaml.parse(content, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise ValueError("a list of entries is not that deep")
