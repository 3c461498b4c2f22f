"""Engines for tests: small, real, and obedient."""

import asyncio
from collections.abc import Sequence

import numpy as np

from contract.preprocess import Pixels
from service.engines.base import Inferred


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

    async def infer(self, images: Sequence[Pixels], deadline: float | None = None) -> list[Inferred]:
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

    async def infer(self, images: Sequence[Pixels], deadline: float | None = None) -> list[Inferred]:
        """See `Engine.infer`, less one."""
        return (await super().infer(images, deadline))[:-1]


class BrokenEngine(EchoEngine):
    """Fails on every batch that holds the tag 666."""

    async def work(self) -> None:
        """Fail, or not."""
        await asyncio.sleep(0)
        if 666 in self.batches[-1]:
            raise RuntimeError("the engine broke")


async def settle() -> None:
    """Let every task that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)
