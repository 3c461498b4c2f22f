"""``make bench-rollout``: versions come, go and are sent back under load; written to ``ROLLOUT.md``."""

import argparse
import asyncio
import os
import shutil
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.altered_versions import as_int8, shuffled, write_altered
from benchmarks.open_loop import Run, ask_steadily
from benchmarks.photographs import photographs
from benchmarks.report import machine
from benchmarks.serving import CACHE, ROOT, serving
from contract.repository import CONFIG, Repository

MODEL = "efficientnet_lite0"
CYCLES = 20
RULES = {"window_s": 30, "min_requests": 20, "max_error_rate": 0.02, "max_p99_ratio": 5, "max_disagreement": 0.3}


@dataclass(frozen=True)
class Figures:
    """All that is reported."""

    quiet: Run
    churn: Run
    canary: Run
    canary_told: dict[str, Any]
    bad: Run
    bad_told: dict[str, Any]
    rolled_back_after_s: float | None
    bad_answers: int


class Admin:
    """Changes versions and traffic."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = f"{base}/v1/models/{MODEL}"

    async def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call; it must succeed."""
        async with self._session.request(method, f"{self._base}/{path}", json=body) as response:
            told: dict[str, Any] = await response.json(content_type=None)
            if response.status != 200:
                sys.exit(f"{method} {path}: {told['detail']}")
            return told


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure versions in traffic.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each part")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--source", type=Path, default=ROOT.parent / "model_repository" / MODEL / "1")
    parser.add_argument("--report", type=Path, default=ROOT / "ROLLOUT.md")
    arguments = parser.parse_args()
    files = photographs(CACHE / "photographs")
    repository = _repository(arguments.source)
    with serving(repository, MODEL, files[0], []) as (url, _, _):
        images = [file.read_bytes() for file in files]
        figures = asyncio.run(_measure(url, images, arguments.rate, arguments.seconds))
    arguments.report.write_text(_report(figures, arguments.rate, arguments.seconds))


def _repository(source: Path) -> Path:
    """The model as it is, an int8-like version 2 of it, and a version 3 that answers nonsense."""
    root = CACHE / "rollout"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(source, root / MODEL / "1")
    shutil.copy(source.parent / CONFIG, root / MODEL / CONFIG)
    write_altered(source, Repository(root), 2, as_int8, layers=slice(None))
    write_altered(source, Repository(root), 3, shuffled, layers=slice(-2, None))
    (root / "routing.yaml").write_text(f"models: {{{MODEL}: {{aliases: {{stable: 1}}}}}}\n")
    return root


async def _measure(url: str, images: list[bytes], rate: float, seconds: float) -> Figures:
    async with aiohttp.ClientSession() as session:
        admin = Admin(session, url.partition("/v1/")[0])
        for version in (2, 3):
            await admin.call("POST", f"versions/{version}:unload")
        quiet = await ask_steadily(url, images, rate, seconds)
        churn, _ = await asyncio.gather(ask_steadily(url, images, rate, seconds), _churn(admin, seconds))
        await _try_out(admin, 2)
        canary = await ask_steadily(url, images, rate, seconds)
        canary_told = await admin.call("GET", "traffic")
        await _try_out(admin, 3)
        watch = asyncio.create_task(_rolled_back(admin, seconds))
        bad = await ask_steadily(url, images, rate, seconds)
        bad_told = await admin.call("GET", "traffic")
    return Figures(quiet, churn, canary, canary_told, bad, bad_told, await watch, bad.versions["3"])


async def _churn(admin: Admin, seconds: float) -> None:
    """Load a version, give it an alias and a share, take them away, unload it; evenly over the time."""
    begun = time.perf_counter()
    for cycle in range(CYCLES):
        await asyncio.sleep(max(0.0, begun + cycle * seconds / CYCLES - time.perf_counter()))
        await admin.call("POST", "versions/2:load")
        await admin.call("PUT", "aliases/canary", {"version": 2})
        await admin.call("PUT", "traffic", {"stable": 90, "canary": 10})
        await asyncio.sleep(0.5)
        await admin.call("PUT", "traffic", {})
        await admin.call("DELETE", "aliases/canary")
        await admin.call("POST", "versions/2:unload")


async def _try_out(admin: Admin, version: int) -> None:
    await admin.call("POST", f"versions/{version}:load")
    await admin.call("PUT", "aliases/canary", {"version": version})
    await admin.call("PUT", "traffic", {"stable": 90, "canary": 10, "rollback": RULES})


async def _rolled_back(admin: Admin, seconds: float) -> float | None:
    """Seconds until the canary was rolled back; None if it never was."""
    begun = time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        if (await admin.call("GET", "traffic"))["rolled_back"]:
            return passed
        await asyncio.sleep(0.2)
    return None


def _report(figures: Figures, rate: float, seconds: float) -> str:
    runs = {
        "quiet": figures.quiet,
        f"{CYCLES} times loaded, aliased, given 10 %, unloaded": figures.churn,
        "int8-like canary, 10 %": figures.canary,
        "bad canary, 10 % until rolled back": figures.bad,
    }
    rows = "\n".join(_row(name, run, figures.quiet) for name, run in runs.items())
    comparison = figures.canary_told["comparisons"][0]
    means = ", ".join(f"{name} {value:.3g}" for name, value in comparison["figures"].items())
    share = figures.canary.versions["2"] / max(1, sum(figures.canary.versions.values()))
    back = figures.bad_told["rolled_back"] or {"reason": "never"}
    after = f"{figures.rolled_back_after_s:.1f} s" if figures.rolled_back_after_s is not None else "never"
    return f"""# Versions in traffic

Written by `make bench-rollout`; do not edit. {rate:g} requests a second for {seconds:g} s each, open loop, 640 x 480
JPEG against `{MODEL}` by its bare name, the callers on the same {len(os.sched_getaffinity(0))} processors. {machine()},
{datetime.now(UTC):%B %Y}.

| | requests | failed | p50 / p95 / p99 ms | p99 to the quiet run's | versions that answered |
|---|---|---|---|---|---|
{rows}

**Split.** The canary answered {share:.1%} of the callers; 10 % was set.

**int8-like canary.** {comparison["images"]} images compared with stable: disagreement {comparison["disagreement"]:.4f}
of the answer, {means}; latency ratio {comparison["latency_ratio"]:.2f}. Not rolled back:
{figures.canary_told["rolled_back"] is None}.

**Bad canary.** Rolled back after {after}, having answered {figures.bad_answers} callers: {back["reason"]}.
Window {RULES["window_s"]} s, at least {RULES["min_requests"]} comparisons, {RULES["max_disagreement"]:.0%} disagreement
allowed.
"""


def _row(name: str, run: Run, quiet: Run) -> str:
    times = " / ".join(f"{run.percentile_ms(share):.0f}" for share in (50, 95, 99))
    ratio = run.percentile_ms(99) / quiet.percentile_ms(99)
    versions = ", ".join(f"{version}: {count}" for version, count in sorted(run.versions.items()))
    failed = sum(run.failures.values())
    return f"| {name} | {len(run.seconds)} | {failed} | {times} | {ratio:.2f} | {versions} |"


if __name__ == "__main__":
    main()
