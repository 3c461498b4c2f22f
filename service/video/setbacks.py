"""Frames of which a model makes nonsense, such as black ones: some do not end a job, many in a row do."""

from typing import Any

from service.errors import ErrorKind, ServiceError

_MOST = 25
"""Frames, or windows, in a row without an answer after which the job fails."""


class Setbacks:
    """Counts them, in order."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def none(self) -> None:
        """There was an answer."""
        self._in_a_row = 0

    def line_of(self, error: ServiceError) -> dict[str, Any]:
        """What the line says in place of an answer.

        Raises:
            ServiceError: the error itself, for it is one too many.
        """
        self._in_a_row += 1
        if self._in_a_row >= _MOST:
            raise error
        return {"error": {"code": error.kind, "detail": error.message}}


def is_setback(error: ServiceError) -> bool:
    """Whether it is of this one frame: the model answered, but nothing can be made of it."""
    return error.kind is ErrorKind.INTERNAL
