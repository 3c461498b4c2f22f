"""What this process may use of the machine, and what to call it."""

import math
import os
import platform
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_CPUINFO = Path("/proc/cpuinfo")


def available_cpus(cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Processors by affinity and by the quotas of the container's cgroups (v2 and v1), whichever is less; at least 1.

    The service counts in the same way, so that what is measured here is what it will use.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(cgroups, own) if (quota := _quota(folder)) is not None]
    return max(1, min([affinity, *(math.ceil(quota) for quota in quotas)]))


def describe(cpus: int, cpuinfo: Path = _CPUINFO) -> str:
    """The machine's kind in words, e.g. ``AMD EPYC 7763 64-Core Processor, 2 CPUs``; never its name."""
    return f"{_processor(cpuinfo)}, {cpus} CPU{'' if cpus == 1 else 's'}"


def _processor(cpuinfo: Path) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.machine() or "unknown processor"


def _folders(cgroups: Path, own: Path) -> Iterator[Path]:
    """The folders whose limits may hold for this process: the mounts, and its own group with all above it."""
    mounts = (cgroups, cgroups / "cpu")
    yield from mounts
    try:
        groups = [Path(line.split(":", 2)[2].lstrip("/")) for line in own.read_text().splitlines()]
    except OSError:
        return
    for group in groups:
        yield from (mount / folder for mount in mounts for folder in (group, *group.parents))


def _quota(folder: Path) -> float | None:
    """Processors by the folder's quota; None where it sets none."""
    try:
        if (v2 := folder / "cpu.max").is_file():
            quota, period = v2.read_text().split()[:2]
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        return None
