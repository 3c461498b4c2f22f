"""Streams in order, with a bounded number under way."""

import asyncio
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
