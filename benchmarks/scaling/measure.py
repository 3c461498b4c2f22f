"""``python -m benchmarks.scaling.measure``: callers who come by chance, for the simulation to be held against.

The service and its callers share the machine's processors, so both tell their CPU time, and the simulation gives the
callers theirs. Minutes, on a quiet machine; writes `measured.json`.
"""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import numpy as np
import psutil

from benchmarks.photographs import photographs
from benchmarks.report import machine
from benchmarks.scaling.validation import OpenLoop, OpenLoopPart, moments
from benchmarks.serving import CACHE, cpu_s, serving, tried_models

MODEL = "efficientnet_lite0"
RATES = (30.0, 60.0, 80.0, 100.0, 200.0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure one node with callers who come by chance.")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="requests a second")
    parser.add_argument("--report", type=Path, default=Path(__file__).parent / "measured.json")
    given = parser.parse_args()
    files = photographs(CACHE / "photographs")
    images = [file.read_bytes() for file in files]
    # The simulation's bound on images in flight is a fixed one.
    with serving(tried_models([MODEL]), MODEL, files[0], ["--no-adaptive-limit"]) as (url, process, _):
        asyncio.run(_part(url, images, process, 20.0, 5.0, 0))
        parts = [
            asyncio.run(_part(url, images, process, rate, given.seconds, seed)) for seed, rate in enumerate(given.rates)
        ]
    told = OpenLoop(
        machine=machine(),
        date=f"{datetime.now(UTC):%B %Y}",
        model=MODEL,
        cores=len(os.sched_getaffinity(0)),
        parts=tuple(parts),
    )
    given.report.write_text(json.dumps(told.model_dump(), indent=1) + "\n")


async def _part(
    url: str, images: list[bytes], process: psutil.Process, rate: float, seconds: float, seed: int
) -> OpenLoopPart:
    """One rate; times count from the moment at which a caller meant to ask."""
    times: list[float] = []
    statuses: Counter[int] = Counter()
    own, service = time.process_time(), cpu_s(process)
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as asking:
        begun = time.perf_counter()
        for number, moment in enumerate(moments(rate, seconds, seed)):
            await asyncio.sleep(max(0.0, begun + moment - time.perf_counter()))
            image = images[number % len(images)]
            asking.create_task(_ask(session, url, image, begun + moment, times, statuses))
    asked = statuses.total()
    p50, p95, p99 = (round(float(value) * 1e3, 2) for value in np.percentile(times, (50, 95, 99)))
    return OpenLoopPart(
        rate=rate,
        seconds=seconds,
        answered=statuses[200],
        refused=statuses[429],
        failed=asked - statuses[200] - statuses[429],
        service_cpu_ms=round((cpu_s(process) - service) / max(1, statuses[200]) * 1e3, 3),
        caller_cpu_ms=round((time.process_time() - own) / asked * 1e3, 3),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        seed=seed,
    )


async def _ask(
    session: aiohttp.ClientSession,
    url: str,
    image: bytes,
    moment: float,
    times: list[float],
    statuses: Counter[int],
) -> None:
    async with session.post(url, data=image, headers={"Content-Type": "image/jpeg"}) as response:
        await response.read()
    statuses[response.status] += 1
    if response.status == 200:
        times.append(time.perf_counter() - moment)


if __name__ == "__main__":
    main()
