"""The lines of a job's results: how one is made, how they are gathered, and those that an earlier attempt has left."""

import time
from binascii import b2a_base64
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from service.video.progress import Progress
from service.video.track import LISTS

Line = dict[str, Any]
"""``frame`` (from 0), ``timestamp_s`` (presentation time), the fields of the task's result, ``carried`` where so."""
_TOGETHER = 16
_LATEST_S = 0.25
_MOST_KEPT = 4096
_BINARY = orjson.OPT_SERIALIZE_NUMPY


def line_of(index: int, time_s: float, fields: Mapping[str, Any], *, carried: bool = False) -> Line:
    """The line of one frame."""
    line = {"frame": index, "timestamp_s": round(time_s, 6), **fields}
    return {**line, "carried": True} if carried else line


def without_bytes(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result whose fields with bytes in them are written as JSON already, the bytes in base64."""
    return {
        name: orjson.Fragment(orjson.dumps(value, default=_base64, option=_BINARY)) for name, value in result.items()
    }


class LineWriter:
    """Gathers lines, for a few writes cost less than many; readers get each after a quarter of a second at the latest.

    That holds as long as frames come: `passed` is called for each.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines: list[Line] = []
        self._written_s = time.monotonic()

    async def add(self, line: Line) -> None:
        """A line to write, now or soon."""
        self._lines.append(line)
        if len(self._lines) >= _TOGETHER or time.monotonic() - self._written_s >= _LATEST_S:
            await self.flush()

    async def passed(self, frames: int) -> None:
        """The work is past so many frames, the last of which has no line."""
        if self._lines and time.monotonic() - self._written_s < _LATEST_S:
            return
        await self.flush()
        await self._progress.moved(frames)

    async def flush(self) -> None:
        """Write what there is."""
        # Whoever is cancelled while it is written has written it all the same.
        lines, self._lines = self._lines, []
        self._written_s = time.monotonic()
        await self._progress.append(lines)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier attempt has left."""

    path: Path
    last_id: int = 0
    """The highest ``track_id`` of all."""
    tail: tuple[Line, ...] = ()
    """The last lines, with what tracking needs of their objects."""
    last: Line | None = None
    """The last line, whole."""

    @classmethod
    def read(cls, path: Path, tail_s: float) -> "Kept":
        """Read a file of whole lines, a line at a time; the tail is of so many seconds before the last line."""
        tail: deque[Line] = deque(maxlen=_MOST_KEPT)
        last_id, line = 0, None
        for line in _lines(path):
            last_id = max(last_id, *(item.get("track_id", 0) for name in LISTS for item in line.get(name, ())), 0)
            tail.append(_without_masks(line))
            while tail[0]["timestamp_s"] < line["timestamp_s"] - tail_s:
                tail.popleft()
        return cls(path, last_id, tuple(tail), line)


class KeptLines:
    """The lines of a file again, asked for in the order of their frames. Not for use by two threads at a time."""

    def __init__(self, path: Path) -> None:
        self._rest = _lines(path)
        self._latest: Line | None = None
        self._coming: Line | None = next(self._rest, None)

    def at(self, frame: int) -> Line | None:
        """The line of that frame, or the last before it; None where there is none. Frames must not fall."""
        while self._coming is not None and self._coming["frame"] <= frame:
            self._latest, self._coming = self._coming, next(self._rest, None)
        return self._latest

    def close(self) -> None:
        """Free the file; may be repeated."""
        self._rest.close()


def _lines(path: Path) -> Generator[Line]:
    if path.exists():
        with path.open("rb") as file:
            for text in file:
                line: Line = orjson.loads(text)
                yield line


def _without_masks(line: Line) -> Line:
    """Some lines are kept in memory; masks and joints take most of them."""
    short: Line = {name: [_tracked(item) for item in line[name]] for name in LISTS if name in line}
    return {**line, **short}


def _tracked(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in {"mask", "keypoints"}}


def _base64(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} has no form in JSON")
    return b2a_base64(value, newline=False).decode()
