"""Callers who come at a steady rate, whether or not the ones before have their answer."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp
import numpy as np


@dataclass
class Run:
    """What the callers saw."""

    seconds: list[float] = field(default_factory=list)
    """From the moment at which a caller meant to ask to the whole answer."""
    versions: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    """By status, or the name of the error."""

    def percentile_ms(self, share: float) -> float:
        """A percentile of the times, in milliseconds."""
        return float(np.percentile(self.seconds, share)) * 1e3


async def ask_steadily(url: str, images: Sequence[bytes], rate: float, seconds: float) -> Run:
    """Ask ``rate`` times a second, one image after the other, for so long; wait for the last answer."""
    run = Run()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session, asyncio.TaskGroup() as asking:
        begun = time.perf_counter()
        for number in range(int(rate * seconds)):
            moment = begun + number / rate
            await asyncio.sleep(max(0.0, moment - time.perf_counter()))
            asking.create_task(_ask(session, url, images[number % len(images)], moment, run))
    return run


async def _ask(session: aiohttp.ClientSession, url: str, image: bytes, moment: float, run: Run) -> None:
    try:
        async with session.post(url, data=image, headers={"Content-Type": "image/jpeg"}) as response:
            answer = await response.json(content_type=None)
    except aiohttp.ClientError as error:
        run.failures[type(error).__name__] += 1
        return
    run.seconds.append(time.perf_counter() - moment)
    if response.status == 200:
        run.versions[answer["model"]["version"]] += 1
    else:
        run.failures[str(response.status)] += 1
