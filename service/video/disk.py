"""Work on files: in a thread, to its end even if the caller is cancelled; and what a full disk means."""

import asyncio
import contextlib
import errno
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from service.errors import ErrorKind, ServiceError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RETRY_S = 60.0

P = ParamSpec("P")
R = TypeVar("R")


async def to_its_end(work: asyncio.Future[R]) -> R:
    """Wait for work that is never cancelled: who is cancelled meanwhile waits for its end, then leaves."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):  # a second time; it ends soon, and is told then
                await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # seen, so that nobody complains of it: who left wants no answer
        raise


async def on_disk(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call in a thread, to its end: two threads never work on one file because a caller has left.

    Raises:
        ServiceError: storage_full, where the disk is full.
        OSError: for other reasons.
    """
    try:
        return await to_its_end(asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs)))
    except OSError as error:
        if error.errno in _FULL:
            raise disk_full() from error
        raise


def disk_full() -> ServiceError:
    """There is no room for more."""
    return ServiceError(ErrorKind.STORAGE_FULL, "the disk for videos is full", retry_after_s=_RETRY_S)
