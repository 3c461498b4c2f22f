"""Streams in order, with a bounded number under way."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from service.window import in_order
from tests.doubles import settle


class Source:
    """Gives numbers, and counts those that were taken."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[int]:
        while self.taken < self.count:
            self.taken += 1
            yield self.taken


async def test_results_come_in_order() -> None:
    """The slowest comes first if it was sent first."""
    delivered: list[int] = []

    async def work(number: int) -> int:
        for _ in range(20 - number):
            await asyncio.sleep(0)
        return number

    async def deliver(number: int) -> None:
        delivered.append(number)

    await in_order(aiter(Source(20)), work, deliver, 4)
    assert delivered == list(range(1, 21))


async def test_a_receiver_who_takes_nothing_stops_the_sender() -> None:
    """No more is read than the window holds."""
    source = Source(100)

    async def work(number: int) -> int:
        return number

    async def deliver(_: int) -> None:
        await asyncio.Event().wait()

    stream = asyncio.create_task(in_order(aiter(source), work, deliver, 4))
    await settle()
    assert source.taken == 4
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream


@pytest.mark.parametrize("where", ["work", "deliver"])
async def test_the_first_error_ends_it(where: str) -> None:
    """An error is raised as it is, and nothing goes on after it."""
    running = 0

    async def work(number: int) -> int:
        nonlocal running
        running += 1
        try:
            if where == "work" and number == 2:
                raise LookupError(number)
            await asyncio.sleep(0)
            return number
        finally:
            running -= 1

    async def deliver(number: int) -> None:
        if where == "deliver" and number == 2:
            raise LookupError(number)

    with pytest.raises(LookupError):
        await in_order(aiter(Source(100)), work, deliver, 4)
    assert running == 0


async def test_leaving_ends_the_work() -> None:
    """Cancelled from outside, nothing goes on."""
    ended: list[int] = []

    async def work(number: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
        return number

    async def deliver(_: int) -> None: ...

    stream = asyncio.create_task(in_order(aiter(Source(100)), work, deliver, 3))
    await settle()
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream
    assert sorted(ended) == [1, 2, 3]


class Large:
    """What is under way: a frame, say."""


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_what_was_under_way_is_let_go(how: str) -> None:
    """Of a stream that is cancelled or fails nothing is kept until the collector of garbage comes by."""
    kept: list[weakref.ref[Large]] = []
    begun = asyncio.Event()

    async def source() -> AsyncIterator[Large]:
        for _ in range(3):
            large = Large()
            kept.append(weakref.ref(large))
            yield large
        del large
        begun.set()
        if how == "failed":
            raise ValueError
        await asyncio.Event().wait()

    async def work(large: Large) -> Large:
        await asyncio.Event().wait()
        return large

    async def deliver(_: Large) -> None: ...

    gc.collect()
    gc.disable()
    try:
        task = asyncio.create_task(in_order(source(), work, deliver, 4))
        await begun.wait()
        if how == "cancelled":
            task.cancel()
        await asyncio.wait([task])
        await settle()
        assert [ref() for ref in kept] == [None] * 3
        assert task.cancelled() or isinstance(task.exception(), ValueError)
    finally:
        gc.enable()
