"""A video on its way to disk, in constant memory."""

import hashlib
import os
from collections.abc import AsyncIterable, Awaitable, Callable

from service.errors import ErrorKind, ServiceError
from service.video.disk import on_disk
from service.video.job_folder import JobFolder

_BLOCK = 1 << 20


class Upload:
    """Takes bytes and writes them in blocks of a MiB; the file belongs to nobody until it is finished and taken."""

    def __init__(
        self, job_id: str, folder: JobFolder, max_bytes: int, room: Callable[[int, int], Awaitable[None]]
    ) -> None:
        """``room(size, more)``: the file takes ``size`` bytes so far; raises where ``more`` have no room."""
        self.id = job_id
        self.folder = folder
        self.taken = False
        """A job has the file now."""
        self._max_bytes = max_bytes
        self._room = room
        self._size = 0
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._descriptor: int | None = None

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._size

    @property
    def digest(self) -> str:
        """SHA-256 of what has been written, in hexadecimal."""
        return self._digest.hexdigest()

    async def open(self) -> None:
        """Make the folder and the empty file."""
        await on_disk(self._open)

    async def read(self, chunks: AsyncIterable[bytes]) -> None:
        """Write all of them; see ``write``."""
        async for chunk in chunks:
            await self.write(chunk)

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises:
            ServiceError: too_large beyond the limit; storage_full where the disk has no room for them.
        """
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        self._waiting += chunk
        if len(self._waiting) >= _BLOCK:
            await self._flush()

    async def finish(self) -> None:
        """All has come: the file is whole, and on disk."""
        await self._flush()
        await on_disk(self._sync)

    async def discard(self) -> None:
        """Leave nothing behind; may be called at any time."""
        await on_disk(self._discard)

    async def _flush(self) -> None:
        block, self._waiting = self._waiting, bytearray()
        if block:
            await self._room(self._size - len(block), len(block))
            await on_disk(self._write, block)

    def _open(self) -> None:
        self.folder.path.mkdir(parents=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self.folder.input, flags, 0o600)

    def _write(self, block: bytearray) -> None:
        if self._descriptor is None:
            raise ValueError(f"{self.folder.input} is not open")
        self._digest.update(block)
        with memoryview(block) as left:
            done = 0
            while done < len(left):
                done += os.write(self._descriptor, left[done:])

    def _sync(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)
        self._close()

    def _discard(self) -> None:
        self._close()
        self.folder.remove()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def too_large(max_bytes: int) -> ServiceError:
    """The video has more bytes than are taken."""
    return ServiceError(ErrorKind.TOO_LARGE, f"the video has more than {max_bytes} bytes")
