"""What a process holds: memory, threads, file descriptors; looked at from outside while it works."""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

_SETTLE_S = 20.0
_LOOK_S = 0.1


@dataclass(frozen=True)
class Footprint:
    """At one moment."""

    rss_mb: float
    """Resident memory, 10⁶ bytes."""
    threads: int
    fds: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Footprint":
        """That of a process, without its children."""
        with process.oneshot():
            return cls(process.memory_info().rss / 1e6, process.num_threads(), process.num_fds())


def settled(process: psutil.Process, before: Footprint) -> Footprint:
    """What a process holds once it has no more threads and descriptors than before; or after 20 s, if it has."""
    end = time.monotonic() + _SETTLE_S
    while True:
        now = Footprint.of(process)
        if (now.threads <= before.threads and now.fds <= before.fds) or time.monotonic() > end:
            return now
        time.sleep(_LOOK_S)


@contextmanager
def watched(process: psutil.Process, every_s: float) -> Iterator[list[Footprint]]:
    """A list that grows by what a process holds, at even times."""
    seen: list[Footprint] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(every_s):
            seen.append(Footprint.of(process))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def growth(early: Sequence[Footprint], late: Sequence[Footprint]) -> float:
    """By which share of the early median the late median of memory is larger."""
    return median_mb(late) / median_mb(early) - 1


def median_mb(some: Sequence[Footprint]) -> float:
    """The median of the memory."""
    return statistics.median(one.rss_mb for one in some)
