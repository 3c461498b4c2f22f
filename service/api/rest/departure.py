"""Stop working for a caller who has left."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

_PATIENCE_S = 0.02
"""Most requests are over before it is worth watching for a disconnect."""

T = TypeVar("T")


async def unless_caller_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work; if the caller disconnects meanwhile, cancel it and raise ClientDisconnect.

    The body must have been read. The watch costs nothing for requests that are done within 20 ms.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("this runs within a task")
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        task.cancel()

    with _later(_PATIENCE_S, watch):
        try:
            return await work
        except asyncio.CancelledError:
            if not left or task.uncancel() > 0:
                raise
    raise ClientDisconnect


@contextmanager
def _later(delay_s: float, start: Any) -> Iterator[None]:
    """Run ``start()`` as a task after a while, unless the block is over by then; it ends with the block."""
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []
    timer = loop.call_later(delay_s, lambda: tasks.append(loop.create_task(start())))
    try:
        yield
    finally:
        timer.cancel()
        for task in tasks:
            task.cancel()
