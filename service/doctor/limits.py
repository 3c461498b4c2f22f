"""What the system allows one process: descriptors, threads, and its memory on disk after a crash."""

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.cgroup import Cgroup
from service.doctor.finding import Finding, group, ok, problem, warning
from service.engines.cpus import available_cpus
from service.settings import Settings

_OWN_DESCRIPTORS = 128
"""Of the process itself: libraries, models, logs, sockets that listen, pipes."""
_OF_A_JOB = 16
_FEWEST = 256
_OWN_THREADS = 32
_UNLIMITED = resource.RLIM_INFINITY


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed, None for all that one wants; and what the settings may come to."""

    descriptors: int | None
    descriptors_hard: int | None
    connections: int
    """Requests, calls and streams that the settings let in at the same time."""
    processes: int | None
    """Threads count as processes."""
    pids: int | None
    """The container's own limit of the same."""
    threads: int
    """Threads that the service may start."""
    core: int | None
    core_to_file: bool
    """The system writes the memory of a process that crashed into a file, rather than hand it to a program."""

    @property
    def descriptors_needed(self) -> int:
        """One for each connection, and the process's own."""
        return self.connections + _OWN_DESCRIPTORS


def read(
    settings: Settings, pattern: Path = Path("/proc/sys/kernel/core_pattern"), cgroup: Cgroup | None = None
) -> Limits:
    """Ask the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    processors = settings.threads or available_cpus()
    return Limits(
        descriptors=_finite(soft),
        descriptors_hard=_finite(hard),
        connections=settings.max_images_in_flight
        + settings.max_grpc_calls
        + settings.max_frame_streams
        + _OF_A_JOB * (settings.max_streams + settings.video_jobs),
        processes=_finite(resource.getrlimit(resource.RLIMIT_NPROC)[0]),
        pids=(cgroup or Cgroup()).least("pids", "pids.max"),
        threads=_OWN_THREADS + 3 * processors + _OF_A_JOB * (settings.max_streams + settings.video_jobs),
        core=_finite(resource.getrlimit(resource.RLIMIT_CORE)[0]),
        core_to_file=_to_file(pattern),
    )


def descriptors(facts: Limits) -> Iterator[Finding]:
    """Descriptors, against the connections that the settings let in."""
    need = facts.descriptors_needed
    found = (
        f"{facts.descriptors if facts.descriptors is not None else 'any number of'} descriptors; full use takes {need}"
    )
    if facts.descriptors is None or facts.descriptors >= need:
        yield ok(found)
        return
    hard = "" if facts.descriptors_hard is None or facts.descriptors_hard >= need else ", and the hard limit with it"
    change = f"raise the limit to {need} (ulimit -n{hard}; LimitNOFILE= of systemd, --ulimit nofile= of Docker)"
    if facts.descriptors < _FEWEST:
        yield problem(found, change)
    else:
        yield warning(found, f"{change}; or lower --max-grpc-calls and --max-frame-streams")


def threads(facts: Limits) -> Iterator[Finding]:
    """Threads that may be started."""
    limits = [limit for limit in (facts.processes, facts.pids) if limit is not None]
    least = min(limits, default=None)
    if least is None or least >= facts.threads:
        yield ok(f"{least if least is not None else 'any number of'} threads; full use takes {facts.threads}")
    else:
        where = "the container's pids limit" if least == facts.pids else "ulimit -u"
        yield warning(
            f"{least} threads may run, and full use takes {facts.threads}", f"raise {where} to {facts.threads * 2}"
        )


def core(facts: Limits) -> Iterator[Finding]:
    """Whether a crash writes pictures and keys to disk."""
    if facts.core == 0 or not facts.core_to_file:
        yield ok("a crash writes no memory into the working folder")
    else:
        yield warning(
            "a crash would write all memory, with callers' pictures and keys, into the working folder",
            "set ulimit -c 0 (--ulimit core=0 of Docker)",
        )


def _finite(limit: int) -> int | None:
    return None if limit == _UNLIMITED else limit


def _to_file(pattern: Path) -> bool:
    try:
        text = pattern.read_text().strip()
    except OSError:
        return False
    return bool(text) and not text.startswith("|")


GROUP = group("Limits", read, {"descriptors": descriptors, "threads allowed": threads, "memory after a crash": core})
