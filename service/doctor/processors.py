"""Threads, against the processors that this process may really use."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.cgroup import Cgroup
from service.doctor.finding import Finding, group, ok, warning
from service.engines.cpus import available_cpus
from service.settings import Settings

_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_MOST_PAUSED = 0.05


@dataclass(frozen=True, slots=True)
class Processors:
    """What there is, and what is asked for."""

    machine: int
    """Processors of the machine, or those that its scheduler lets this process use."""
    available: int
    """Of these, what the container's quota leaves."""
    quota: float | None
    threads: int | None
    """The setting; None: as many as are available."""
    pools: Mapping[str, str]
    """The variables of other libraries' thread pools that are set."""
    paused_share: float | None
    """Share of the scheduler's periods in which the quota was used up; None where nobody counts."""

    @property
    def used(self) -> int:
        """Threads that run models."""
        return self.threads or self.available


def read(settings: Settings, cgroup: Cgroup | None = None, environment: Mapping[str, str] | None = None) -> Processors:
    """Ask the scheduler, the control groups and the environment."""
    cgroup = cgroup or Cgroup()
    environment = os.environ if environment is None else environment
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = cgroup.counts("cpu", "cpu.stat")
    periods = counts.get("nr_periods", 0)
    return Processors(
        machine=affinity,
        available=available_cpus(cgroup),
        quota=cgroup.quota(),
        threads=settings.threads,
        pools={name: environment[name] for name in _POOLS if name in environment},
        paused_share=counts.get("nr_throttled", 0) / periods if periods else None,
    )


def threads(facts: Processors) -> Iterator[Finding]:
    """Batches at the same time, against processors."""
    limit = f", a quota of {facts.quota:g}" if facts.quota is not None else ""
    found = f"{facts.used} threads; {facts.available} processors may be used (of {facts.machine}{limit})"
    if facts.used > facts.available:
        yield warning(found, f"set --threads {facts.available}, or give the container {facts.used} processors")
    elif facts.quota is not None and facts.used > facts.quota:
        whole = facts.available
        yield warning(f"{found}, so all are paused now and then", f"make the quota a whole number, {whole}")
    else:
        yield ok(found)


def pauses(facts: Processors) -> Iterator[Finding]:
    """Whether the quota was used up, so that the scheduler stopped the container."""
    if facts.paused_share is None:
        yield ok("nobody counts how often a quota stops this process")
    elif facts.paused_share > _MOST_PAUSED:
        yield warning(
            f"the quota stopped this container in {facts.paused_share:.0%} of all periods",
            "raise the container's processor limit, or lower --threads",
        )
    else:
        yield ok(f"the quota stopped this container in {facts.paused_share:.0%} of all periods")


def pools(facts: Processors) -> Iterator[Finding]:
    """Thread pools of the libraries beside the engine, which count the machine's processors."""
    wrong = [finding for name, value in facts.pools.items() if (finding := _pool(name, value, facts.available))]
    if facts.pools.keys().isdisjoint(_POOLS[:2]) and facts.machine > facts.available:
        wrong.append(
            warning(
                f"OMP_NUM_THREADS is not set, so libraries count the machine's {facts.machine} processors, "
                f"not the container's {facts.available}",
                "set OMP_NUM_THREADS=1: images are worked on side by side already",
            )
        )
    named = ", ".join(f"{name}={value}" for name, value in facts.pools.items())
    yield from wrong or [ok(named or "no variable sets the thread pools of libraries, and none is needed")]


def _pool(name: str, value: str, available: int) -> Finding | None:
    if not value.isdigit() or int(value) == 0:
        return warning(f"{name} is {value!r}, which is no number of threads", f"set {name}=1")
    if int(value) > available:
        return warning(f"{name} is {value}, and {available} processors may be used", f"set {name}=1, or take it away")
    return None


GROUP = group("Processors", read, {"threads": threads, "pauses": pauses, "pools": pools})
