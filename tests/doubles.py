"""Engines for tests: small, real, and obedient."""

import asyncio
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from contract.preprocess import Pixels
from service.engines.base import Engine, Inferred


def tagged_image(tag: int) -> Pixels:
    """An image u8 [2,2,3] that carries a number below 65,536 in its pixels."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0, :2] = tag // 256, tag % 256
    return image


def tag_of(image: Pixels) -> int:
    """The number that an image carries."""
    return int(image[0, 0, 0]) * 256 + int(image[0, 0, 1])


class EchoEngine:
    """Answers each image with its tag, at once, and keeps a record of its batches."""

    def __init__(self, batch_sizes: tuple[int, ...] = (1, 2, 3, 4), concurrency: int = 1) -> None:
        self.batch_sizes = batch_sizes
        self.concurrency = concurrency
        self.batches: list[list[int]] = []
        self.running = 0
        self.most_running = 0
        self.closed = False
        self.healthy = True

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`."""
        tags = [tag_of(image) for image in images]
        self.batches.append(tags)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.work()
        finally:
            self.running -= 1
        return [Inferred({"tag": np.int64(tag)}, 0.0, 0.0, len(tags)) for tag in tags]

    async def work(self) -> None:
        """What a batch takes: one turn of the event loop."""
        await asyncio.sleep(0)

    def take_traffic(self) -> None:
        """See `Engine.take_traffic`."""

    async def close(self) -> None:
        """See `Engine.close`."""
        self.closed = True


class GatedEngine(EchoEngine):
    """Holds every batch until told to let one, or all, go."""

    def __init__(self, batch_sizes: tuple[int, ...] = (1, 2, 3, 4), concurrency: int = 1) -> None:
        super().__init__(batch_sizes, concurrency)
        self.gate = asyncio.Semaphore(0)

    async def work(self) -> None:
        """Wait for `release`."""
        await self.gate.acquire()

    async def release(self, batches: int = 1_000_000) -> None:
        """Let so many batches finish, and everybody take notice."""
        for _ in range(min(batches, 10_000)):
            self.gate.release()
        await settle()


class ShortEngine(EchoEngine):
    """Gives one answer too few."""

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`, less one."""
        return (await super().infer(images, deadline, flow))[:-1]


class BrokenEngine(EchoEngine):
    """Fails on every batch that holds the tag 666, by an error of one's choice."""

    def __init__(self, batch_sizes: tuple[int, ...] = (1, 2, 3, 4), error: BaseException | None = None) -> None:
        super().__init__(batch_sizes)
        self.error = error or RuntimeError("the engine broke")

    async def work(self) -> None:
        """Fail, or not."""
        await asyncio.sleep(0)
        if 666 in self.batches[-1]:
            raise self.error


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


class HeldEngine:
    """Around another engine: once told to hold, it keeps batches until let go, and counts images that it sent on."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.batch_sizes = engine.batch_sizes
        self.concurrency = engine.concurrency
        self.lost = False
        self.arrived = 0
        self.computed = 0
        self._open = asyncio.Event()
        self._open.set()

    @property
    def healthy(self) -> bool:
        """As the other engine is, unless it is said to be lost."""
        return self.engine.healthy and not self.lost

    def hold(self) -> None:
        """Keep what comes from now on."""
        self._open.clear()
        self.arrived = self.computed = 0

    def let_go(self) -> None:
        """Send on what was kept and what comes."""
        self._open.set()

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """See `Engine.infer`."""
        self.arrived += len(images)
        await self._open.wait()
        self.computed += len(images)
        return await self.engine.infer(images, deadline, flow)

    def take_traffic(self) -> None:
        """See `Engine.take_traffic`."""
        self.engine.take_traffic()

    async def close(self) -> None:
        """See `Engine.close`."""
        self.let_go()
        await self.engine.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds that nobody announces; it fails if that takes half a minute."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
