"""Three times as many callers as can be answered: what is answered, how late, and how quickly the rest is refused.

The load is an open loop: callers come at their rate, whatever becomes of those before, and time counts from the moment
at which each meant to ask. Capacity is what `wrk` gets from the same service with 32 callers, just before and after.
"""

import asyncio
import json
import os
import re
import statistics
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import uvloop

from benchmarks.photographs import photographs
from benchmarks.reliability.callers import OK, REFUSED, Callers, Request, percentile_ms
from benchmarks.serving import CACHE, TINY, asked, cpu_s, serving, tried_models
from service.settings import Settings

MODELS = ("efficientnet_lite0", TINY)
OVERLOAD = 3
_UNLOADED = 0.2
"""Of the capacity: so much is asked to see how long an answer takes while nobody is in the way."""
_CALLERS = 32
_CALLERS_PRIORITY = -10
QUEUE_LIMIT_S: float = Settings.model_fields["queue_limit_s"].default
_LIMIT = re.compile(r"^vitrail_images_in_flight_limit (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Overload:
    """One round."""

    capacity_per_s: float
    asked_per_s: float
    goodput_per_s: float
    unloaded_p50_ms: float
    unloaded_p99_ms: float
    admitted_p50_ms: float
    admitted_p99_ms: float
    refused_p50_ms: float
    refused_p99_ms: float
    refused_at_once: float
    """Share of the refused that heard so in less than 20 ms."""
    limits: tuple[int, int]
    """The least and the largest limit of images in flight once the load stood, after 2 s."""
    service_cpus: float
    """Processors that the service had in the mean; the callers had the rest."""
    account: dict[str, object]

    @property
    def goodput(self) -> float:
        """Of the capacity."""
        return self.goodput_per_s / self.capacity_per_s

    def allowed_p99_ms(self, queue_limit_s: float) -> float:
        """What is wanted: twice the unloaded one, and the queue limit."""
        return 2 * self.unloaded_p99_ms + queue_limit_s * 1e3


def measure(rounds: int, seconds: float, queue_limit_s: float) -> dict[str, object]:
    """For each model, the round with the median goodput, as JSON."""
    options = ["--queue-limit-s", str(queue_limit_s)]
    files = photographs(CACHE / "photographs")
    repository = tried_models(list(MODELS))
    found: dict[str, object] = {}
    for model in MODELS:
        with serving(repository, model, files[0], options) as (url, process, _):
            outcomes = [_round(url, process, files, seconds) for _ in range(rounds)]
        middle = statistics.median_low([outcome.goodput for outcome in outcomes])
        chosen = next(outcome for outcome in outcomes if outcome.goodput == middle)
        summary = {"goodput": chosen.goodput, "allowed_p99_ms": chosen.allowed_p99_ms(queue_limit_s)}
        found[model] = {**asdict(chosen), **summary, "rounds": [asdict(outcome) for outcome in outcomes]}
    return {"queue_limit_s": queue_limit_s, "overload": OVERLOAD, "seconds": seconds, "rounds": rounds, "models": found}


def _round(url: str, process: psutil.Process, files: list[Path], seconds: float) -> Overload:
    requests = _requests(url, files)
    before = _capacity(url, files, seconds)
    callers = Callers(_address(url), requests)
    with _preferred():
        calm = uvloop.run(Callers(_address(url), requests).come(_UNLOADED * before, seconds))
        cpu = cpu_s(process)
        limits = uvloop.run(_overloaded(callers, OVERLOAD * before, seconds, url))
        cpu = cpu_s(process) - cpu
    capacity = (before + _capacity(url, files, seconds)) / 2
    account = callers.account
    admitted, refused = account.of(OK), account.of(REFUSED)
    return Overload(
        capacity_per_s=capacity,
        asked_per_s=account.sent / seconds,
        goodput_per_s=sum(answer.due + answer.seconds <= seconds for answer in admitted) / seconds,
        unloaded_p50_ms=percentile_ms(calm.of(OK), 50),
        unloaded_p99_ms=percentile_ms(calm.of(OK), 99),
        admitted_p50_ms=percentile_ms(admitted, 50),
        admitted_p99_ms=percentile_ms(admitted, 99),
        refused_p50_ms=percentile_ms(refused, 50),
        refused_p99_ms=percentile_ms(refused, 99),
        refused_at_once=sum(answer.seconds < 0.02 for answer in refused) / max(1, len(refused)),
        limits=limits,
        service_cpus=cpu / seconds,
        account=account.as_json(),
    )


@contextmanager
def _preferred() -> Iterator[None]:
    """Callers are on other machines as a rule: where they may, they go before the service on the processors."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, _CALLERS_PRIORITY)
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, 0)


async def _overloaded(callers: Callers, rate: float, seconds: float, url: str) -> tuple[int, int]:
    """Overload the service, and look at its limit."""
    asking = asyncio.create_task(callers.come(rate, seconds))
    limits: list[int] = []
    while not asking.done():
        await asyncio.wait([asking], timeout=1.0)
        if 2.0 < callers.passed_s < seconds:
            limits.append(await asyncio.to_thread(_limit, url))
    await asking
    return min(limits, default=0), max(limits, default=0)


def _limit(url: str) -> int:
    with urllib.request.urlopen(f"{url.partition('/v1/')[0]}/metrics", timeout=30) as answer:
        found = _LIMIT.search(answer.read().decode())
    return int(float(found[1])) if found else 0


def _capacity(url: str, files: list[Path], seconds: float) -> float:
    told = asked(url, _CALLERS, seconds, files)
    return (told["requests"] - told["errors"]) / told["seconds"]


def _requests(url: str, files: list[Path]) -> list[Request]:
    parts = urlsplit(url)
    return [Request.post(parts.netloc, f"{parts.path}?{parts.query}", file.read_bytes()) for file in files]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


def told(results: dict[str, object]) -> Iterator[str]:
    """Lines for a person who waits."""
    yield json.dumps(results, indent=1)
    yield f"load of this machine at the end: {os.getloadavg()[0]:.1f}"
