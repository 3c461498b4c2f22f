"""Whatever holds a video → what is sent: a file goes piece by piece and is never in memory as a whole."""

import asyncio
import io
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePath
from typing import Any, BinaryIO, TypeAlias

from vitrail_client._connection import Request

Video: TypeAlias = bytes | bytearray | memoryview | str | PathLike[str] | BinaryIO
"""The path of a file, its bytes, the open file, or an address that begins with http:// or https://."""

_PIECE = 1 << 20
_ADDRESS = re.compile("https?://", re.IGNORECASE)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f"\\]')


@dataclass(frozen=True, slots=True)
class Source:
    """A video that can be opened and read, once or more often."""

    open: Callable[[], BinaryIO]
    """The file at the video's first byte; OSError where it cannot be read."""
    size: Callable[[BinaryIO], int | None]
    """Bytes from there on; None where nobody can say."""
    name: str | None
    again: bool
    """Whether it can be read once more."""
    owned: bool
    """Whether it is to be closed behind the reading."""

    @classmethod
    def of(cls, video: Video) -> "Source":
        """TypeError for what is no video."""
        if isinstance(video, bytes | bytearray | memoryview):
            return cls(lambda: io.BytesIO(video), _rest_of, None, again=True, owned=True)
        if isinstance(video, str | PathLike):
            path = Path(video)
            return cls(lambda: path.open("rb"), _rest_of, path.name, again=True, owned=True)
        if not hasattr(video, "read"):
            raise TypeError(f"{type(video).__name__} is no video: give a path, bytes, an open file or an address")
        return _opened(video)

    @contextmanager
    def request(self) -> Iterator[Request]:
        """What sends it, while the file is open."""
        file = self.open()
        try:
            size = self.size(file)
            yield {"content": _pieces(file, size), "headers": self._headers(size)}
        finally:
            if self.owned:
                file.close()

    @asynccontextmanager
    async def request_async(self) -> AsyncIterator[Request]:
        """See `request`; the file is read in threads."""
        file = await asyncio.to_thread(self.open)
        try:
            size = await asyncio.to_thread(self.size, file)
            yield {"content": _each(_pieces(file, size)), "headers": self._headers(size)}
        finally:
            if self.owned:
                await asyncio.to_thread(file.close)

    def _headers(self, size: int | None) -> dict[str, Any]:
        headers: dict[str, Any] = {"Content-Type": "application/octet-stream"}
        if self.name:
            # As bytes, for a name may have any letters; what cannot stand between quotes is left out.
            name = _UNSAFE.sub("_", self.name).encode(errors="replace")
            headers["Content-Disposition"] = b'attachment; filename="' + name + b'"'
        return headers if size is None else headers | {"Content-Length": str(size)}


def address_in(video: Video) -> str | None:
    """The address that the service is to fetch the video from, if it is one."""
    return video if isinstance(video, str) and _ADDRESS.match(video) else None


def _opened(file: BinaryIO) -> Source:
    """A file that somebody else has opened, from where it stands."""
    name = getattr(file, "name", None)
    name = PurePath(name).name if isinstance(name, str) else None
    try:
        start = file.tell() if file.seekable() else None
    except (OSError, AttributeError):
        start = None
    if start is None:
        return Source(lambda: file, lambda _: None, name, again=False, owned=False)

    def rewound() -> BinaryIO:
        file.seek(start)
        return file

    return Source(rewound, _rest_of, name, again=True, owned=False)


def _rest_of(file: BinaryIO) -> int | None:
    """Bytes from where a file stands to its end; None where it says nothing of its length, as pipes."""
    if not file.seekable():
        return None
    start = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(start)
    return end - start or None


def _pieces(file: BinaryIO, size: int | None) -> Iterator[bytes]:
    left = size
    while left is None or left > 0:
        piece = file.read(_PIECE if left is None else min(_PIECE, left))
        if not isinstance(piece, bytes):
            raise TypeError("the file is open for text; open it by mode 'rb'")
        if not piece:
            if left:
                raise OSError(f"the video has become shorter while it was sent: {left} bytes are missing")
            return
        left = None if left is None else left - len(piece)
        yield piece


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
