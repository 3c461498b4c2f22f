"""``make bench-observing``: what metrics, history, traces and logs cost, and whether they tell the truth.

The same service several times at once: one with nothing that observes it, and others that observe more and more. They
are put under load in turns, a few seconds each, in an order that changes; a machine that grows slower is so for all.
Written to ``OBSERVING.md``.
"""

import argparse
import contextlib
import json
import random
import shutil
import statistics
import sys
import time
import timeit
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.photographs import photographs
from benchmarks.report import machine
from benchmarks.serving import CACHE, ROOT, TINY, asked, cpu_s, serving, tried_models
from service.telemetry import Telemetry, Transport
from service.telemetry.access_log import AccessLog

LITE = "efficientnet_lite0"
CALLERS = 8
ALLOWED = 0.02
"""More CPU time a request."""
STAGES_WITHIN, PERCENTILES_WITHIN = 0.05, 0.10
_LOAD_S, _WINDOW_S = 30, 40
_SHARES = ("p50", "p95", "p99")
_BARE = "nothing"
_NO_RECEIVER = "http://127.0.0.1:9"
"""An endpoint that takes no traces: spans are made, queued and dropped, and no receiver shares the processors."""
WAYS: dict[str, tuple[str, list[str]]] = {
    _BARE: ("benchmarks.unobserved_service", []),
    "metrics and history (as it comes)": ("service", []),
    "… and 1 % of the requests traced": ("service", ["--otlp-endpoint", _NO_RECEIVER]),
    "… and all traced, all in a JSON log": (
        "service",
        [
            *("--otlp-endpoint", _NO_RECEIVER, "--trace-share", "1"),
            *("--access-log-share", "1", "--log-format", "json", "--log-level", "info"),
        ],
    ),
}


@dataclass
class Way:
    """What a way of observing cost in each round."""

    cpu_ms: list[float] = field(default_factory=list)
    requests_per_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Truth:
    """The same requests as callers saw them and as the service tells them."""

    model: str
    callers: int
    callers_ms: dict[str, float]
    """By `_SHARES`."""
    told_ms: dict[str, float]
    stages_ms: float
    """Mean sum of the stages of a request."""
    whole_ms: float
    """Mean whole time of it."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=5, help="how often all services are started anew")
    parser.add_argument("--rounds", type=int, default=4, help="of each start")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each load")
    parser.add_argument("--report", type=Path, default=ROOT / "OBSERVING.md")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("the load is made by wrk, which is not here; install it (Debian: apt-get install wrk)")
    files = photographs(CACHE / "photographs")
    repository = tried_models([TINY, LITE])
    ways: dict[str, Way] = {name: Way() for name in WAYS}
    for number in range(arguments.starts):
        print(f"start {number + 1} of {arguments.starts}", file=sys.stderr)
        _measure(ways, repository, files, arguments.rounds, arguments.seconds)
    truths = [_truth(repository, model, callers, files) for model in (TINY, LITE) for callers in (1, CALLERS)]
    arguments.report.write_text(_report(ways, truths, arguments.starts * arguments.rounds, arguments.seconds))


def _measure(ways: dict[str, Way], repository: Path, files: list[Path], rounds: int, seconds: float) -> None:
    """Add so many rounds; the services are new ones, for a process is quicker or slower than its twin all its life."""
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(_running(repository, files[0], name)) for name in ways}
        for url, _ in running.values():
            asked(url, CALLERS, 2, files)
        for _ in range(rounds):
            for name in random.sample(list(ways), len(ways)):
                url, process = running[name]
                before = cpu_s(process)
                told = asked(url, CALLERS, seconds, files)
                ways[name].cpu_ms.append((cpu_s(process) - before) / told["requests"] * 1e3)
                ways[name].requests_per_s.append(told["requests"] / told["seconds"])


def _alone_us() -> float:
    """Microseconds that all takes which a request leaves behind, in a loop of nothing else."""
    telemetry = Telemetry()
    version = telemetry.of_version("classify", TINY, 1)
    telemetry.listeners.append(AccessLog(0.0).ended)

    def request() -> None:
        account = telemetry.account(Transport.REST, "classify", "id", {}, "POST /v1/classify")
        account.received_bytes = 90_000
        telemetry.count_pixels("classify", 307_200)
        account.answered(version, "stable", "200", 1, 400)

    return min(timeit.repeat(request, number=10_000, repeat=7)) / 10_000 * 1e6


@contextlib.contextmanager
def _running(repository: Path, image: Path, name: str) -> Iterator[tuple[str, psutil.Process]]:
    module, options = WAYS[name]
    videos = ["--videos", str(CACHE / "videos" / str(list(WAYS).index(name)))]
    with serving(repository, TINY, image, [*options, *videos], module) as (url, process, _):
        yield url, process


def _truth(repository: Path, model: str, callers: int, files: list[Path]) -> Truth:
    """What callers saw, beside what the service tells of the same requests."""
    with serving(repository, model, files[0], ["--videos", str(CACHE / "videos" / "truth")]) as (url, _, _):
        base = url.partition("/v1/")[0]
        asked(url, callers, 3, files)  # Until it is warm.
        time.sleep(_WINDOW_S - _LOAD_S + 1)  # So that the window has nothing of that.
        before = _sums(base, model)
        seen = asked(url, callers, _LOAD_S, files)
        time.sleep(2)
        after = _sums(base, model)
        told = _history(base, model)["window"]["total_ms"]
    requests = after["count"] - before["count"]
    return Truth(
        model,
        callers,
        {name: seen[f"{name}_ms"] for name in _SHARES},
        {name: told[name] for name in _SHARES},
        (after["stages"] - before["stages"]) / requests * 1e3,
        (after["whole"] - before["whole"]) / requests * 1e3,
    )


def _history(base: str, model: str) -> dict[str, Any]:
    """Of the window; the requests of the warm-up are older."""
    path = f"/v1/history?window_s={_WINDOW_S}&points=10&model={model}"
    with urllib.request.urlopen(f"{base}{path}", timeout=10) as response:
        told: dict[str, Any] = json.load(response)
    return told


def _sums(base: str, model: str) -> dict[str, float]:
    """Requests, and seconds in stages and in all, so far."""
    with urllib.request.urlopen(f"{base}/metrics", timeout=10) as response:
        text = response.read().decode()
    found = {"count": 0.0, "whole": 0.0, "stages": 0.0}
    names = {
        "vitrail_request_seconds_count": "count",
        "vitrail_request_seconds_sum": "whole",
        "vitrail_stage_seconds_sum": "stages",
    }
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in names and sample.labels["model"] == model:
                found[names[sample.name]] += sample.value
    return found


def _report(ways: dict[str, Way], truths: list[Truth], rounds: int, seconds: float) -> str:
    return _TEXT.format(
        machine=machine(),
        date=datetime.now(UTC).strftime("%B %Y"),
        model=TINY,
        callers=CALLERS,
        rounds=rounds,
        seconds=f"{seconds:g}",
        costs="\n".join(_cost_row(name, way, ways[_BARE]) for name, way in ways.items()),
        verdict=_verdict(_shares(list(ways.values())[1], ways[_BARE])),
        alone_us=f"{(alone := _alone_us()):.0f}",
        alone=f"{alone / 1e3 / statistics.median(ways[_BARE].cpu_ms):.1%}",
        truths="\n".join(_truth_row(truth) for truth in truths),
        stages="\n".join(_stages_row(truth) for truth in truths),
    )


def _shares(way: Way, bare: Way) -> list[float]:
    """Of each round: how much more CPU time a request took."""
    return [one / other - 1 for one, other in zip(way.cpu_ms, bare.cpu_ms, strict=True)]


def _cost_row(name: str, way: Way, bare: Way) -> str:
    shares = sorted(_shares(way, bare))
    low, _, high = statistics.quantiles(shares, n=4)
    more = "" if way is bare else f"**{statistics.median(shares):+.1%}** ({low:+.1%} … {high:+.1%})"
    cpu, rate = statistics.median(way.cpu_ms), statistics.median(way.requests_per_s)
    return f"| {name} | {cpu:.3f} | {more} | {rate:.0f} |"


def _verdict(shares: list[float]) -> str:
    more = statistics.median(shares)
    return f"{'reached' if more <= ALLOWED else '**missed**'}, {more:+.1%}"


def _truth_row(truth: Truth) -> str:
    cells, worst = [], 0.0
    for name, callers in truth.callers_ms.items():
        off = truth.told_ms[name] / callers - 1
        worst = max(worst, abs(off))
        cells.append(f"{callers:.2f} / {truth.told_ms[name]:.2f} ({off:+.0%})")
    verdict = "reached" if worst <= PERCENTILES_WITHIN else "**missed**"
    return f"| {truth.model}, {_of(truth.callers)} | {' | '.join(cells)} | {verdict} |"


def _of(callers: int) -> str:
    return "1 caller" if callers == 1 else f"{callers} callers"


def _stages_row(truth: Truth) -> str:
    off = 1 - truth.stages_ms / truth.whole_ms
    verdict = "reached" if abs(off) <= STAGES_WITHIN else "**missed**"
    cells = f"{truth.whole_ms:.3f} | {truth.stages_ms:.3f} | {off:.1%}"
    return f"| {truth.model}, {_of(truth.callers)} | {cells} | {verdict} |"


_TEXT = """# What observing costs, and whether it tells the truth

Written by `make bench-observing`; do not edit. {machine}, {date}.

## Cost

The same service several times, all running, with {callers} callers on one of them at a time: a 640 x 480 JPEG,
{model}, a model so small that the service's own work is what counts. {rounds} rounds of {seconds} s each, in an order
that changes, all services started anew after some; the load comes from the same processors. CPU time is the service's,
user and system; *more* is the median of the rounds' differences to the one that nothing observes, with the middle half
of them.

| observed | CPU ms a request | more | requests/s |
|---|---|---|---|
{costs}

At most 2 % more is wanted of a service as it comes: {verdict}. In a loop by itself, what a request leaves behind takes
{alone_us} µs, {alone} of a request that nothing observes; a round's noise is several times as large. Traces are
sent to an address where nobody listens, so that no receiver takes processor time.

## Percentiles

What `wrk` saw in 30 s, beside the percentiles of the same requests in `/v1/history`, which /dashboard shows: callers' /
told, in milliseconds. Within 10 % is wanted. What the callers see more is HTTP and the way to the service.

| | p50 | p95 | p99 | |
|---|---|---|---|---|
{truths}

## Stages

The mean of the whole time of a request, by the clock, and of the sum of its stages; within 5 % is wanted.

| | whole ms | stages ms | between them | |
|---|---|---|---|---|
{stages}
"""


if __name__ == "__main__":
    main()
