"""``routing.yaml`` in the repository: read, checked, read again when it has changed, and written as people ask."""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from pydantic import ValidationError

from contract.repository import replace_file
from contract.validation import first_problem
from service.registry.traffic import Routing

NAME = "routing.yaml"
_LARGEST = 1 << 20
_HEAD = b"# Which version answers whom. Change it here or through the API; comments do not outlive the latter.\n"

_log = logging.getLogger("vitrail.routing")


class RoutingFile:
    """The file, what it said last, and what is wrong with what it says now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: bytes | None = None
        self.problem: str | None = None
        """Why the file as it is now is not followed; None if it is."""

    def changed(self) -> Routing | None:
        """What the file says, if that is valid and other than the last time; None if all stays as it is.

        A file that is gone means no routing. One that cannot be read, or is not valid, leaves `problem`, and what held
        before holds on.
        """
        try:
            content = self._path.read_bytes() if self._path.is_file() else b""
            if content == self._content:
                return None
            self._content = content
            routing = _parsed(content)
        except (OSError, ValueError, yaml.YAMLError) as error:
            self.problem = f"{NAME} is not followed, and what held before holds on: {_reason(error)}"
            _log.error(self.problem)
            return None
        self.problem = None
        return routing

    def edit(self, change: Callable[[Routing], Routing]) -> Routing:
        """Change what the file says, whole and at once; what it says now.

        Other gateways may do the same at the same time: each changes what it finds. OSError if it cannot be written;
        ValueError if it is not valid as it is, for what it says would be lost, or if the change makes it so.
        """
        with _alone(self._path.parent):
            before = self._path.read_bytes() if self._path.is_file() else b""
            try:
                found = _parsed(before)
            except (ValueError, yaml.YAMLError) as error:
                raise ValueError(f"{NAME} is not valid, so nothing is written to it: {_reason(error)}") from error
            routing = Routing.model_validate(change(found).model_dump(exclude_defaults=True))
            content = _HEAD + yaml.safe_dump(_plain(routing), sort_keys=False, allow_unicode=True).encode()
            replace_file(self._path, content)
        self._content, self.problem = content, None
        return routing


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other gateways from writing meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _plain(routing: Routing) -> dict[str, object]:
    return routing.model_dump(mode="json", exclude_defaults=True)


def _parsed(content: bytes) -> Routing:
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST} bytes")
    return Routing.model_validate(yaml.safe_load(content) or {})


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_problem(error)
    return " ".join(str(error).split())
