"""The id under which a caller and the service's log speak of the same request."""

from uuid import uuid4

_MAX = 128


def request_id(given: str | None) -> str:
    """The caller's own if it is a sane one, else a new one."""
    return given if given and len(given) <= _MAX and given.isprintable() else uuid4().hex
