"""``make fuzz-image``: a million damaged images through the decoder, in processes that may die.

The decoders are C libraries: what matters beside a wrong exception is a crash, a hang, and memory without end. So a
worker decodes, and tells in a shared page which input it is at; this process watches it, notes what ends it, and goes
on behind that input. Every input can be made again by its number: ``--only NUMBER``.
"""

import argparse
import json
import mmap
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from contract.image import InvalidImage, decode
from tests.hostile.fuzzing import check, damaged, read_seeds

REPORT = Path(__file__).parent / "reliability" / "fuzzing.json"
_HANG_CPU_S = 10.0
"""CPU time that one small input may take: other work on the machine does not make a hang."""
_LOOK_S = 0.5
_MEMORY_BYTES = 4 << 30
"""That the address space may grow by, above what it is once everything is loaded."""
_GROWTH_KB = 100_000
"""Resident memory that the largest picture allowed here, of a million pixels, could never need."""
_PAGE = 4096


@dataclass
class Found:
    """What went wrong, by the numbers of the inputs."""

    crashes: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)


def work(page: Path, first: int, last: int) -> None:
    """Decode these inputs; the next number to come stands in the page, and surprises are printed."""
    seeds = read_seeds()
    for data in seeds.values():
        check(data)
    # What the C libraries remark on goes nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    most = psutil.Process().memory_info().vms + _MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    with page.open("r+b") as file, mmap.mmap(file.fileno(), _PAGE) as shared:
        peak = _peak_kb()
        for number in range(first, last):
            shared[:8] = number.to_bytes(8, "little")
            try:
                check(damaged(seeds, number), trimap=number % 8 == 0)
            except Exception as error:  # noqa: BLE001  # this is what is looked for
                print(f"{number}: {error!r:.300}", flush=True)
            if _peak_kb() > peak + _GROWTH_KB:
                print(f"{number}: memory grew by {_peak_kb() - peak:,} kB", flush=True)
                peak = _peak_kb()
        shared[:8] = last.to_bytes(8, "little")


def _peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextmanager
def worker(page: Path, first: int, last: int, told: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that decodes these inputs."""
    command = [sys.executable, "-m", "benchmarks.hostile_fuzzing", "--page", str(page)]
    with (
        told.open("ab") as output,
        subprocess.Popen([*command, "--first", str(first), "--last", str(last)], stdout=output) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def fuzz(first: int, inputs: int) -> Found:
    """All inputs, past whatever ends a worker."""
    found, last = Found(), first + inputs
    with tempfile.TemporaryDirectory() as folder:
        page, told = Path(folder) / "page", Path(folder) / "told"
        page.write_bytes(bytes(_PAGE))
        while first < last:
            page.write_bytes(first.to_bytes(8, "little").ljust(_PAGE, b"\0"))
            with worker(page, first, last, told) as process:
                hung = watch(process, page)
            at = _number(page)
            if hung:
                found.hangs.append(str(at))
            elif process.returncode:
                found.crashes.append(f"{at}: exit status {process.returncode}")
            first = last if at >= last else at + 1
        found.undocumented = told.read_text().splitlines()
    return found


def watch(process: "subprocess.Popen[bytes]", page: Path) -> bool:
    """Wait for a worker's end; True if it had to be stopped, because one input took too long."""
    at, since, shown = -1, 0.0, time.monotonic()
    while process.poll() is None:
        time.sleep(_LOOK_S)
        try:
            times = psutil.Process(process.pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        used, now = times.user + times.system, _number(page)
        if now != at:
            at, since = now, used
        elif used - since > _HANG_CPU_S:
            process.kill()
            process.wait()
            return True
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"at input {at:,}", file=sys.stderr, flush=True)
    return False


def _number(page: Path) -> int:
    return int.from_bytes(page.read_bytes()[:8], "little")


def report(inputs: int, first: int, path: Path) -> None:
    """Run, and write what was found."""
    begun = time.monotonic()
    found = fuzz(first, inputs)
    told = {
        "inputs": inputs,
        "first": first,
        "seconds": round(time.monotonic() - begun),
        **{kind: len(cases) for kind, cases in asdict(found).items()},
        "found": asdict(found),
        "seeds": len(read_seeds()),
        "command": "make fuzz-image",
        "date": datetime.now(UTC).date().isoformat(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told, indent=1))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Damage images, and decode them, a million times.")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--report", type=Path, default=REPORT)
    parser.add_argument("--only", type=int, help="decode this one input, and tell what comes of it")
    parser.add_argument("--page", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--last", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.page is not None:
        work(arguments.page, arguments.first, arguments.last)
    elif arguments.only is not None:
        try:
            print(decode(damaged(read_seeds(), arguments.only)).shape)
        except InvalidImage as error:
            print(error)
    else:
        report(arguments.inputs, arguments.first, arguments.report)


if __name__ == "__main__":
    main()
