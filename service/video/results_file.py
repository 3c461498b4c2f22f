"""The results of a job: one line of JSON a frame, readable from any frame while more are written.

There is no index to keep in step with the file: frames rise from line to line, so that the first line of a frame is
found by bisection over the file's bytes, with some thirty short reads in a file of a gigabyte.
"""

import asyncio
import bisect
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from service.video.disk import on_disk

_BLOCK = 1 << 18
_JSON = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


@dataclass(frozen=True, slots=True)
class Counts:
    """What a results file holds."""

    processed: int
    """Lines of frames that a model saw."""
    carried: int
    """Lines with ``"carried": true``: taken over from the frame before."""
    last_frame: int | None


class ResultsFile:
    """The lines of one job. One writes, in turn; any number read at the same time, in the same event loop."""

    def __init__(self, path: Path) -> None:
        """For a job that has not ended: readers wait for lines until ``close``.

        What is there already was written by an earlier attempt, and its last line is whole: see ``recovered``.
        """
        self._path = path
        self._descriptor: int | None = None
        self._size = path.stat().st_size if path.exists() else 0
        self._last_frame: int | None = None
        self._closed = False
        self._grown = asyncio.Event()

    @classmethod
    def ended(cls, path: Path) -> "ResultsFile":
        """For a job that has ended, or has never begun to write: readers get what is there."""
        results = cls(path)
        results._closed = True
        return results

    @property
    def last_frame(self) -> int | None:
        """The frame of the last line."""
        return self._last_frame

    @property
    def size(self) -> int:
        """Bytes of whole lines."""
        return self._size

    async def open(self) -> None:
        """Make ready for more lines; a torn last line, left by a crash, is cut off.

        Raises:
            ServiceError: storage_full, where the disk is full.
        """
        await on_disk(self._open)
        self._tell()

    async def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Write a line for each, all or none; what is written survives the end of this process.

        Each has a whole number ``frame``, above the one before it.

        Raises:
            ValueError: the frames do not rise.
            ServiceError: storage_full, where the disk is full.
        """
        if not lines:
            return
        last = self._last_frame
        for line in lines:
            if last is not None and line["frame"] <= last:
                raise ValueError(f"frame {line['frame']} comes after frame {last}")
            last = line["frame"]
        try:
            await on_disk(self._write, b"".join(orjson.dumps(line, option=_JSON) for line in lines), last)
        finally:
            self._tell()

    async def keep(self) -> None:
        """No more is written; all lines are on disk once this returns. Readers wait on."""
        if self._descriptor is not None:
            await on_disk(self._sync_and_close)

    async def close(self) -> None:
        """There will be no more: readers come to their end. Lines are on disk once this returns."""
        if self._closed:
            return
        self._closed = True
        try:
            await self.keep()
        finally:
            self._tell()

    async def read(self, from_frame: int = 0) -> AsyncIterator[bytes]:
        """Whole lines, some at a time, from that frame on; waits for more until ``close``."""
        await self._some_line()
        if not self._size:
            return
        with _opened(self._path) as descriptor:
            position = await on_disk(offset_of, descriptor, self._size, from_frame)
            # While it grows the first lines may all lie before that frame; those to come do not, or are skipped here.
            while True:
                if position < self._size:
                    lines = await on_disk(_lines_at, descriptor, position, self._size)
                    position += len(lines)
                    if wanted := lines if from_frame <= 0 else _from_frame(lines, from_frame):
                        from_frame = 0
                        yield wanted
                elif self._closed:
                    return
                else:
                    await self._grown.wait()

    async def _some_line(self) -> None:
        while not (self._size or self._closed):
            await self._grown.wait()

    def _tell(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _open(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size, last_frame = last_whole_line(descriptor, os.fstat(descriptor).st_size)
        os.ftruncate(descriptor, size)
        self._descriptor, self._size, self._last_frame = descriptor, size, last_frame

    def _write(self, data: bytes, last_frame: int | None) -> None:
        # Here, not in the event loop: who is cancelled in the middle has written all the same.
        if self._descriptor is None:
            raise ValueError(f"{self._path} is not open")
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)
        self._last_frame = last_frame

    def _sync_and_close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def recovered(path: Path) -> Counts:
    """Cut off a torn last line, left by a crash, and count the others; reads all of the file, a line at a time."""
    processed = carried = 0
    frame: int | None = None
    if path.exists():
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.truncate(last_whole_line(file.fileno(), size)[0])
            file.seek(0)
            for text in file:
                line = orjson.loads(text)
                frame = line["frame"]
                carried += line.get("carried") is True
                processed += line.get("carried") is not True
    return Counts(processed, carried, frame)


def last_whole_line(descriptor: int, size: int) -> tuple[int, int | None]:
    """Where the last whole line ends, and its frame; ``(0, None)`` where there is none."""
    end = size
    while end:
        start = _line_start(descriptor, end)
        frame = _frame_of(_read(descriptor, start, end - start))
        if frame is not None:
            return end, frame
        end = start
    return 0, None


def offset_of(descriptor: int, size: int, from_frame: int) -> int:
    """Where the first line begins whose frame is ``from_frame`` or above; ``size`` where there is none."""
    if from_frame <= 0:
        return 0

    def is_behind(position: int) -> bool:
        start = _next_line_start(descriptor, position, size)
        return start >= size or bool(orjson.loads(_line_at(descriptor, start, size))["frame"] >= from_frame)

    return _next_line_start(descriptor, bisect.bisect_left(range(size), True, key=is_behind), size)


def _from_frame(lines: bytes, from_frame: int) -> bytes:
    """Those of the lines that are wanted: from the first that has the frame."""
    start = 0
    while start < len(lines):
        end = lines.index(b"\n", start) + 1
        if orjson.loads(lines[start:end])["frame"] >= from_frame:
            return lines[start:]
        start = end
    return b""


def _frame_of(text: bytes) -> int | None:
    """The frame of a line, or None if the line is torn."""
    if not text.endswith(b"\n"):
        return None
    try:
        line = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    frame = line.get("frame") if isinstance(line, dict) else None
    return frame if isinstance(frame, int) else None


def _line_start(descriptor: int, end: int) -> int:
    """Where the line begins whose last byte stands before ``end``."""
    stop = end - 1
    while stop > 0:
        start = max(0, stop - _BLOCK)
        found = _read(descriptor, start, stop - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        stop = start
    return 0


def _next_line_start(descriptor: int, position: int, size: int) -> int:
    """Where the first line begins at or after ``position``."""
    if position == 0:
        return 0
    return position - 1 + len(_line_at(descriptor, position - 1, size))


def _line_at(descriptor: int, position: int, size: int) -> bytes:
    """The bytes from ``position`` up to the end of that line, or of the file."""
    return b"".join(_blocks_of_line(descriptor, position, size))


def _blocks_of_line(descriptor: int, position: int, size: int) -> Iterator[bytes]:
    length = 1 << 12
    while position < size:
        block = _read(descriptor, position, min(length, size - position))
        line, newline, _ = block.partition(b"\n")
        yield line + newline
        if newline or not block:
            return
        position += len(block)
        length = _BLOCK


def _lines_at(descriptor: int, position: int, size: int) -> bytes:
    """Whole lines from ``position``, where one begins: a block of them, or one that is longer than a block."""
    block = _read(descriptor, position, min(_BLOCK, size - position))
    whole = block.rfind(b"\n") + 1
    return block[:whole] if whole else _line_at(descriptor, position, size)


def _read(descriptor: int, position: int, length: int) -> bytes:
    """Exactly so many bytes, unless the file ends before."""
    data = os.pread(descriptor, length, position)
    while data and len(data) < length:
        more = os.pread(descriptor, length - len(data), position + len(data))
        if not more:
            break
        data += more
    return data


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
