"""Streams: what comes in goes out in the same order, with a bounded number under way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from traceback import clear_frames
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

    async def read(group: asyncio.TaskGroup) -> None:
        await places.acquire()
        async for item in source:
            begun.put_nowait(group.create_task(work(item)))
            del item
            await places.acquire()
        begun.put_nowait(None)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(read(group))
            while (task := await begun.get()) is not None:
                await deliver(await task)
                places.release()
    except asyncio.CancelledError as error:
        _break_circle(error)
        raise
    except ExceptionGroup as errors:
        _break_circle(errors)
        raise errors.exceptions[0] from errors
    finally:
        # This frame is a part of the error that leaves it, which its task keeps; so it must not keep its tasks.
        del group
        task = None
        while not begun.empty():
            begun.get_nowait()


def _break_circle(error: BaseException) -> None:
    """Let go of what a task group keeps that has failed or was cancelled.

    Before Python 3.13 its error and its frame hold each other, and with them all that was under way: the frames of a
    video, until the garbage collector comes by, which may be many cancelled videos later.
    """
    cause: BaseException | None = error
    while cause is not None:
        clear_frames(cause.__traceback__)
        cause = cause.__context__
