"""Hours at four fifths of what the service can do: its memory, descriptors and threads must not grow.

Among the requests are some that fail, and some whose callers leave, for what is never cleaned up is found there.
"""

import asyncio
import random
import statistics
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from benchmarks.photographs import photographs
from benchmarks.reliability.callers import OK, Callers, Request, percentile_ms
from benchmarks.reliability.processes import MODEL, PATH, Gateway, gateway, scratch
from benchmarks.serving import CACHE, asked, tried_models

_LOAD = 0.8
_EVERY_S = 5.0
_CAPACITY_S = 8.0
_CALLERS = 32
_LEAVE_PER_S = 1.0
_WARM_S = 30.0
"""Until then caches and heaps take the size that the load asks of them."""


@dataclass(frozen=True)
class Sample:
    """How the process stood."""

    at_s: float
    pss_mb: float
    descriptors: int
    """But those of connections that are open at both ends: they come and go with the load."""
    threads: int
    limit: int


async def soak(minutes: float) -> dict[str, object]:
    """The figures, as JSON."""
    with scratch() as folder:
        async with gateway(tried_models([MODEL]), folder) as service:
            files = photographs(CACHE / "photographs")
            told = await asyncio.to_thread(asked, f"{service.url}{PATH}", _CALLERS, _CAPACITY_S, files)
            capacity = (told["requests"] - told["errors"]) / told["seconds"]
            broken = Request.post(service.url.removeprefix("http://"), PATH, b"this is no image")
            callers = Callers(service.address, [*service.requests(files), broken])
            load = asyncio.create_task(callers.come(_LOAD * capacity, 60 * minutes))
            leaving = asyncio.create_task(_leave(service, load))
            samples = await _watch(service, callers, load)
            await asyncio.gather(load, leaving)
    good = callers.account.of(OK)
    return {
        "minutes": minutes,
        "capacity_per_s": capacity,
        "asked_per_s": _LOAD * capacity,
        "account": callers.account.as_json(),
        "p50_ms": percentile_ms(good, 50),
        "p99_ms": percentile_ms(good, 99),
        "left_early": leaving.result(),
        "growth": growth(samples),
        "samples": [asdict(sample) for sample in samples],
    }


async def _watch(service: Gateway, callers: Callers, load: "asyncio.Task[object]") -> list[Sample]:
    samples = []
    while not load.done():
        await asyncio.wait([load], timeout=_EVERY_S)
        process = service.process
        limit = await asyncio.to_thread(service.figure, "vitrail_images_in_flight_limit")
        pss_mb = (await asyncio.to_thread(process.memory_full_info)).pss / 1e6
        samples.append(Sample(callers.passed_s, pss_mb, _kept(process), process.num_threads(), int(limit)))
    return samples


def _kept(process: psutil.Process) -> int:
    connections = process.net_connections("tcp")
    return process.num_fds() - sum(one.status == psutil.CONN_ESTABLISHED for one in connections)


async def _leave(service: Gateway, load: "asyncio.Task[object]") -> int:
    """Callers who send a request and are gone before its answer; how many."""
    request, chance, left = service.requests(photographs(CACHE / "photographs"))[0].data, random.Random(1), 0
    while not load.done():
        await asyncio.wait([load], timeout=1 / _LEAVE_PER_S)
        with suppress(OSError):
            _, writer = await asyncio.open_connection(*service.address)
            writer.write(request[: chance.randrange(1, 2 * len(request))])
            await asyncio.sleep(0.02 * chance.random())
            writer.transport.abort()
            left += 1
    return left


def growth(samples: list[Sample]) -> dict[str, dict[str, Any]]:
    """What the process had in each quarter, once it was warm: the least, the median and the most.

    ``growth`` is that of the medians, from the first quarter to the last, and ``floor`` that of the least: memory goes
    up and down with the pictures that are decoded at a time, and what is kept for ever lifts its lowest level.
    """
    warm = [sample for sample in samples if sample.at_s >= _WARM_S] or samples
    size = max(1, len(warm) // 4)
    parts = [warm[:size], warm[size : 2 * size], warm[-2 * size : -size], warm[-size:]]
    found = {}
    for name in ("pss_mb", "descriptors", "threads"):
        quarters = [_spread([getattr(sample, name) for sample in part or warm]) for part in parts]
        floor, middle = (quarters[-1][at] / quarters[0][at] - 1 for at in (0, 1))
        found[name] = {"quarters": quarters, "growth": middle, "floor": floor}
    return found


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), statistics.median(values), max(values)
