"""``routing.yaml`` in the repository: read, checked, and read again when it has changed."""

import logging
from pathlib import Path

import yaml
from pydantic import ValidationError

from service.registry.traffic import Routing

NAME = "routing.yaml"
_LARGEST = 1 << 20

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


def _parsed(content: bytes) -> Routing:
    if len(content) > _LARGEST:
        raise ValueError(f"it is larger than {_LARGEST} bytes")
    return Routing.model_validate(yaml.safe_load(content) or {})


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())
