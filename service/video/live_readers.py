"""Who reads a live stream's results: each at their own pace, and never at the cost of the stream."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Self

from service.errors import ErrorKind, ServiceError
from service.video.live_limits import LiveLimits

_END = b"}\n"
_TOGETHER_BYTES = 1 << 18


class Reader(AsyncIterator[bytes]):
    """Iterate once over what comes from now on: whole lines of JSON, one or more at a time. Then `close` it."""

    def __init__(self, limits: LiveLimits, leave: Callable[["Reader"], None]) -> None:
        self._limits, self._leave = limits, leave
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._missed = 0
        self._ended = False
        self._something = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await self._something.wait()
        if not self._lines:
            raise StopAsyncIteration
        if self._missed:
            # It was between what was read before and this line that others were lost.
            self._lines[0] = b'%b,"missed":%d%b' % (self._lines[0].removesuffix(_END), self._missed, _END)
            self._missed = 0
        return self._taken()

    def _taken(self) -> bytes:
        """Some lines: what is on its way to one reader is a copy of its own, what waits is shared with the others."""
        size, lines = 0, []
        while self._lines and size < _TOGETHER_BYTES:
            lines.append(self._lines.popleft())
            size += len(lines[-1])
        self._bytes = sum(map(len, self._lines))
        if not (self._lines or self._ended):
            self._something.clear()
        return b"".join(lines)

    def close(self) -> None:
        """Leave the place to others; may be repeated."""
        self.end()
        self._lines.clear()
        self._leave(self)

    def put(self, line: bytes) -> None:
        """Give it a line; the oldest that were not read yet go where there are too many."""
        self._lines.append(line)
        self._bytes += len(line)
        while len(self._lines) > 1 and (len(self._lines) > self._limits.lines or self._bytes > self._limits.line_bytes):
            self._bytes -= len(self._lines.popleft())
            self._missed += 1
        self._something.set()

    def end(self) -> None:
        """Nothing comes after what is there."""
        self._ended = True
        self._something.set()


class Readers:
    """All readers of one stream."""

    def __init__(self, limits: LiveLimits) -> None:
        self._limits = limits
        self._readers: set[Reader] = set()
        self._ended = False

    def __len__(self) -> int:
        return len(self._readers)

    def add(self) -> Reader:
        """One more; of a stream that is over, one that is at its end. Raises ServiceError (rate_limited)."""
        if len(self._readers) >= self._limits.readers:
            why = f"{self._limits.readers} callers read this stream's results already"
            raise ServiceError(ErrorKind.RATE_LIMITED, why, retry_after_s=1)
        reader = Reader(self._limits, self._readers.discard)
        if self._ended:
            reader.end()
        else:
            self._readers.add(reader)
        return reader

    def publish(self, line: bytes) -> None:
        """Give all readers a line of JSON; it ends with ``}`` and a newline."""
        for reader in self._readers:
            reader.put(line)

    def end(self) -> None:
        """The stream is over: readers get what waits for them, and no more."""
        self._ended = True
        for reader in self._readers:
            reader.end()
        self._readers.clear()
