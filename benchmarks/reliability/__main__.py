"""``make reliability``: every promise for a bad day, measured; writes JSON of each part, and docs/reliability.md.

Without arguments it measures all but the soak. ``chaos killed cut`` runs some cases, ``soak --minutes 30`` the soak,
``page`` writes the page from what was measured before.
"""

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from benchmarks.reliability import network, overload
from benchmarks.reliability.chaos import NETWORK_CASES, TRITON_CASES, Outcome
from benchmarks.reliability.machine import MACHINE_CASES, obstacle
from benchmarks.reliability.page import write_page
from benchmarks.reliability.soak import soak

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent.parent / "docs" / "reliability.md"
CASES: dict[str, Callable[[], Awaitable[Outcome]]] = {**TRITON_CASES, **NETWORK_CASES, **MACHINE_CASES}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure what becomes of requests on a bad day.")
    parts = parser.add_subparsers(dest="part")
    chaos_parser = parts.add_parser("chaos", help="break one thing after the other under load")
    chaos_parser.add_argument("cases", nargs="*", choices=[[], *CASES], help="default: all")
    overload_parser = parts.add_parser("overload", help="three times as many callers as can be answered")
    overload_parser.add_argument("--rounds", type=int, default=3)
    overload_parser.add_argument("--seconds", type=float, default=20.0)
    overload_parser.add_argument("--queue-limit-s", type=float, default=overload.QUEUE_LIMIT_S)
    soak_parser = parts.add_parser("soak", help="four fifths of the load that can be borne, for long")
    soak_parser.add_argument("--minutes", type=float, default=30.0)
    parts.add_parser("page", help="write docs/reliability.md from what was measured")
    arguments = parser.parse_args()
    if arguments.part in (None, "chaos"):
        _keep_cases(getattr(arguments, "cases", []) or list(CASES))
    if arguments.part in (None, "overload"):
        rounds, seconds = getattr(arguments, "rounds", 3), getattr(arguments, "seconds", 20.0)
        limit_s = getattr(arguments, "queue_limit_s", overload.QUEUE_LIMIT_S)
        _keep("overload", overload.measure(rounds, seconds, limit_s))
    if arguments.part == "soak":
        _keep("soak", uvloop.run(soak(arguments.minutes)))
    write_page(FOLDER, PAGE)


def _keep_cases(names: list[str]) -> None:
    """Run cases, and keep what came of them beside what came of the others before."""
    path = FOLDER / "chaos.json"
    kept = json.loads(path.read_text())["cases"] if path.exists() else {}
    for name in names:
        why = network.obstacle() if name in NETWORK_CASES else obstacle(name)
        if why is not None:
            print(f"{name}: not run, for {why}")
            continue
        print(f"{name} …", flush=True)
        # The relay of packets needs the readers of asyncio's own loop.
        kept[name] = asdict(asyncio.run(_run(CASES[name])))
        account = kept[name]["account"]
        print(f"  {account}", flush=True)
        _keep("chaos", {"cases": {case: kept[case] for case in CASES if case in kept}})


async def _run(case: Callable[[], Awaitable[Outcome]]) -> Outcome:
    return await case()


def _keep(part: str, measured: dict[str, object]) -> None:
    machine = {
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "load at the end": round(os.getloadavg()[0], 1),
    }
    (FOLDER / f"{part}.json").write_text(json.dumps({"machine": machine, **measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
