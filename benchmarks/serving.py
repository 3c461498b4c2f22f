"""``make bench``: the service under load beside the in-process ceiling, written to ``RESULTS.md``.

A shared machine's clock rate moves by the minute, so the ceiling is measured before and after every load, in the same
minute, and the figure that counts is the ratio of CPU time per request; medians over several rounds are reported.
"""

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.progress import Progress

from benchmarks.photographs import photographs
from benchmarks.report import write_report

ROOT = Path(__file__).parent
CACHE = ROOT / ".cache"
CALLERS = (1, 8, 32)
TINY = "mobilenetv3_small_050"


@dataclass(frozen=True)
class Ceiling:
    """What the bare loop reaches, with one thread a processor."""

    images_per_s: float
    cpu_ms: float
    p50_ms: float


@dataclass(frozen=True)
class Load:
    """What the service reaches with so many callers, each waiting for its answer."""

    callers: int
    requests_per_s: float
    cpu_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    ceiling: Ceiling


@dataclass(frozen=True)
class Service:
    """What it takes to run the service at all."""

    start_s: float
    pss_mb: float
    processes: int


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Measure the service against the in-process ceiling.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load and each ceiling")
    parser.add_argument("--models", nargs="+", default=["efficientnet_lite0", TINY])
    parser.add_argument("--report", type=Path, default=ROOT / "RESULTS.md")
    parser.add_argument("--service-option", action="append", default=[], help="passed on to vitrail-serve")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("the load is made by wrk, which is not here; install it (Debian: apt-get install wrk)")
    files = photographs(CACHE / "photographs")
    repository = tried_models(arguments.models)
    results: dict[str, tuple[Service, list[Load]]] = {}
    with Progress(console=Console(stderr=True)) as progress:
        for model in arguments.models:
            task = progress.add_task(model, total=arguments.rounds * len(CALLERS))
            with serving(repository, model, files[0], arguments.service_option) as (url, process, start_s):
                loads = []
                for _ in range(arguments.rounds):
                    for callers in CALLERS:
                        loads.append(_load(url, model, process, callers, arguments.seconds, repository, files))
                        progress.advance(task)
                results[model] = (_footprint(process, start_s), _medians(loads))
    write_report(arguments.report, results, rounds=arguments.rounds, seconds=arguments.seconds)
    json.dump({m: [asdict(s), [asdict(x) for x in loads]] for m, (s, loads) in results.items()}, sys.stdout, indent=1)


def tried_models(models: list[str]) -> Path:
    """A repository with just these models; the tiny one has random weights, for only its speed is of interest."""
    repository = CACHE / "repository"
    for model in models:
        if (repository / model / "1" / "card.json").is_file():
            continue
        name, weights = (f"timm:{TINY}", "random") if model == TINY else (model, "pretrained")
        command = ["build", name, "--weights", weights, "--repository", str(repository)]
        subprocess.run([sys.executable, "-m", "build_engines", *command], check=True, stdout=sys.stderr)
    return repository


@contextlib.contextmanager
def serving(
    repository: Path, model: str, image: Path, options: list[str], module: str = "service"
) -> Iterator[tuple[str, psutil.Process, float]]:
    """A running service, its process, and the seconds from launch to its first right answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ports = ["--port", str(port), "--grpc-port", "0"]
    command = [sys.executable, "-m", module, "--repository", str(repository), *ports, *options]
    url = f"http://127.0.0.1:{port}/v1/classify?model={model}"
    begun = time.perf_counter()
    with subprocess.Popen(command, env={**os.environ, "VITRAIL_LOG_LEVEL": "warning"}) as service:
        try:
            while not _answers(url, image):
                if service.poll() is not None or time.perf_counter() - begun > 60:
                    sys.exit("the service did not start")
                time.sleep(0.02)
            yield url, psutil.Process(service.pid), time.perf_counter() - begun
        finally:
            service.terminate()
            service.wait(30)


def _answers(url: str, image: Path) -> bool:
    request = urllib.request.Request(url, image.read_bytes(), {"Content-Type": "image/jpeg"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return bool(json.load(response)["results"][0]["classes"])
    except (urllib.error.URLError, ConnectionError):
        return False


def _load(
    url: str, model: str, process: psutil.Process, callers: int, seconds: float, repository: Path, files: list[Path]
) -> Load:
    before = _ceiling(repository / model / "1", files[0].parent, seconds / 2)
    cpu = cpu_s(process)
    told = asked(url, callers, seconds, files)
    cpu = cpu_s(process) - cpu
    after = _ceiling(repository / model / "1", files[0].parent, seconds / 2)
    return Load(
        callers=callers,
        requests_per_s=told["requests"] / told["seconds"],
        cpu_ms=cpu / told["requests"] * 1e3,
        p50_ms=told["p50_ms"],
        p95_ms=told["p95_ms"],
        p99_ms=told["p99_ms"],
        errors=told["errors"],
        ceiling=Ceiling(**{key: (before[key] + after[key]) / 2 for key in before}),
    )


def asked(url: str, callers: int, seconds: float, files: list[Path]) -> dict[str, float]:
    """What ``wrk`` saw: requests, seconds, p50_ms, p95_ms, p99_ms, errors."""
    command = ["wrk", "--threads", "1", "--connections", str(callers), "--duration", f"{round(seconds)}s"]
    command += ["--timeout", "30s", "--script", str(ROOT / "post.lua"), url, "--", *map(str, files)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    told: dict[str, float] = json.loads(printed.rpartition("JSON ")[2])
    return told


def _ceiling(version: Path, folder: Path, seconds: float) -> dict[str, float]:
    threads = len(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "benchmarks.ceiling", str(version), str(folder)]
    command += ["--threads", str(threads), "--seconds", str(seconds)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    measured: dict[str, float] = json.loads(told)
    return measured


def cpu_s(process: psutil.Process) -> float:
    """User and system seconds of the process and its children."""
    times = [member.cpu_times() for member in [process, *process.children(recursive=True)]]
    return sum(time.user + time.system for time in times)


def _footprint(process: psutil.Process, start_s: float) -> Service:
    tree = [process, *process.children(recursive=True)]
    pss = sum(member.memory_full_info().pss for member in tree)
    return Service(start_s, pss / 1e6, len(tree))


def _medians(loads: list[Load]) -> list[Load]:
    """For each number of callers, the round with the median ratio of CPU time to the ceiling's."""
    chosen = []
    for callers in CALLERS:
        rounds = [load for load in loads if load.callers == callers]
        middle = statistics.median_low([load.cpu_ms / load.ceiling.cpu_ms for load in rounds])
        chosen.append(next(load for load in rounds if load.cpu_ms / load.ceiling.cpu_ms == middle))
    return chosen


if __name__ == "__main__":
    main()
