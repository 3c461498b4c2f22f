"""A stream's frames are taken in a thread or task that is not the caller's, where an error would be lost."""

from collections.abc import AsyncIterator, Iterator
from types import TracebackType


class Source:
    """Takes frames; where that fails the frames merely end, and `check` raises the error."""

    def __init__(self) -> None:
        self._error: Exception | None = None

    def take(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        """The frames, until one cannot be taken."""
        with self:
            yield from frames

    async def take_async(self, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """See `take`."""
        with self:
            async for image in frames:
                yield image

    def check(self) -> None:
        """Raise the error that was kept, if there was one."""
        if self._error is not None:
            raise self._error

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if isinstance(error, Exception):
            self._error = error
            return True
        return False
