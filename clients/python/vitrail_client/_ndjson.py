"""Results line by line, and the place from which they go on where the connection breaks."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, TypeAlias

import httpx

from vitrail_client._connection import of_type, other_service
from vitrail_client._errors import VitrailError
from vitrail_client._rest_results import with_bytes
from vitrail_client._retries import Outage

Line: TypeAlias = dict[str, Any]
"""``frame`` (from 0), ``timestamp_s``, the fields of the task's result, ``carried`` where it is an earlier frame's."""

_HELD_S = 5.0
"""A connection that has held for so long was no mere try."""


class Place:
    """A reader's place in results that are read in several connections."""

    def __init__(self, from_frame: int, patience_s: float, retries: int) -> None:
        self.from_frame = from_frame
        """The first frame that is still wanted."""
        self.begun = False
        """Whether the service has had results at all."""
        self._outage = Outage(patience_s, retries)
        self._opened_s: float | None = None

    def opened(self) -> None:
        """There is a connection again."""
        self.begun = True
        self._opened_s = time.monotonic()

    def take(self, line: Line) -> Line:
        """The line with bytes where JSON has base64."""
        self._outage.ended()
        self.from_frame = line["frame"] + 1
        decoded: Line = with_bytes(line)
        return decoded

    def pause_s(self, error: VitrailError | None) -> float:
        """Seconds to wait before the next connection; raises the error where there is no use.

        ``error`` is None where the lines ended in order, and too early.
        """
        opened_s, self._opened_s = self._opened_s, None
        silent = error is not None and error.code == "deadline_exceeded"
        if opened_s is not None and (silent or time.monotonic() - opened_s >= _HELD_S):
            self._outage.ended()
            if silent:
                # Nothing has happened yet, or nobody is there any more: the next connection shows it.
                return 0.0
        return self._outage.pause_s(error or VitrailError("the results ended too early", code="unreachable"))


def lines_in(response: httpx.Response) -> Iterator[Line]:
    """Whole lines; what stands behind the last line break is torn."""
    of_type(response, "application/x-ndjson")
    rest = _Rest()
    for piece in response.iter_bytes():
        for text in rest.lines(piece):
            yield _parsed(text, response)


async def lines_in_async(response: httpx.Response) -> AsyncIterator[Line]:
    """See `lines_in`."""
    of_type(response, "application/x-ndjson")
    rest = _Rest()
    async for piece in response.aiter_bytes():
        for text in rest.lines(piece):
            yield _parsed(text, response)


class _Rest:
    """What has come of a line that is not whole.

    httpx's own lines end also at line separators within JSON's texts.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def lines(self, piece: bytes) -> list[bytes]:
        """The lines that end in the piece."""
        first, *others = piece.split(b"\n")
        self._pieces.append(first)
        if not others:
            return []
        whole = b"".join(self._pieces)
        self._pieces = [others.pop()]
        return [line for line in (whole, *others) if line]


def _parsed(text: bytes, response: httpx.Response) -> Line:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise other_service(response) from error
    if not isinstance(line, dict) or not isinstance(line.get("frame"), int):
        raise other_service(response)
    return line
