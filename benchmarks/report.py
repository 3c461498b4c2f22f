"""Figures → ``RESULTS.md``."""

import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime

if TYPE_CHECKING:
    from benchmarks.serving import Load, Service

_HEAD = """# Results

Written by `make bench`; do not edit. POST of a 640 x 480 JPEG (32 distinct photographs, 85-100 KB) → top-5 JSON.
`wrk` makes the load on the same processors. The **ceiling** is a bare loop in one process, one thread a processor:
decode, preprocess and session of the same model by the same functions, measured before and after each load. CPU is
user + system time of the whole process tree of the service. Median of {rounds} rounds of {seconds:g} s by ratio.

{machine}, {date}.
"""

_TABLE = """
## {model}

Start to first right answer {start_s:.1f} s · {pss_mb:.0f} MB (PSS) in {processes} process(es)

| callers | CPU ms/request | ceiling CPU ms | **ratio** | requests/s | ratio to ceiling | p50 / p95 / p99 ms | \
p50 / ceiling's | errors |
|---|---|---|---|---|---|---|---|---|
{rows}
"""


def machine() -> str:
    """What it ran on."""
    versions = f"Python {platform.python_version()}, ONNX Runtime {onnxruntime.__version__}"
    return f"{_processor()}, {platform.system()}, {versions}"


def write_report(path: Path, results: "dict[str, tuple[Service, list[Load]]]", *, rounds: int, seconds: float) -> None:
    """Write the tables of all models."""
    text = _HEAD.format(rounds=rounds, seconds=seconds, machine=machine(), date=datetime.now(UTC).strftime("%B %Y"))
    for model, (service, loads) in results.items():
        text += _TABLE.format(
            model=model,
            start_s=service.start_s,
            pss_mb=service.pss_mb,
            processes=service.processes,
            rows="\n".join(_row(load) for load in loads),
        )
    path.write_text(text)


def _row(load: "Load") -> str:
    ceiling = load.ceiling
    cells = [
        str(load.callers),
        f"{load.cpu_ms:.2f}",
        f"{ceiling.cpu_ms:.2f}",
        f"**{load.cpu_ms / ceiling.cpu_ms:.2f}**",
        f"{load.requests_per_s:.0f}",
        f"{load.requests_per_s / ceiling.images_per_s:.2f}",
        f"{load.p50_ms:.0f} / {load.p95_ms:.0f} / {load.p99_ms:.0f}",
        f"{load.p50_ms / ceiling.p50_ms:.1f}",
        str(load.errors),
    ]
    return f"| {' | '.join(cells)} |"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()
