"""Streams: what comes in goes out in the same order, with a bounded number under way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    source: AsyncIterator[T],
    work: Callable[[T], Coroutine[Any, Any, R]],
    deliver: Callable[[R], Awaitable[None]],
    window: int,
) -> None:
    """Work on what ``source`` gives, ``window`` at a time, and deliver the results in the source's order.

    Nothing more is read while so many are being worked on or wait for their delivery: a receiver who takes nothing
    stops the sender. It ends when the source has ended and everything is delivered; the first error, of any of the
    three, ends it too, and is raised once nothing of it runs any more.
    """
    places = asyncio.Semaphore(window)
    begun: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()

    async def read() -> None:
        await places.acquire()
        async for item in source:
            begun.put_nowait(group.create_task(work(item)))
            await places.acquire()
        begun.put_nowait(None)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            while (task := await begun.get()) is not None:
                await deliver(await task)
                places.release()
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
