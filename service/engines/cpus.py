"""How many processors this process may really use: the container's share, not the host's count."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available_cpus(cgroup_root: Path = Path("/sys/fs/cgroup"), own_cgroup: Path = Path("/proc/self/cgroup")) -> int:
    """Processors by affinity and by cgroup quota (v1 and v2), whichever is less; at least 1.

    ONNX Runtime and most pools count the host's (microsoft/onnxruntime#29510).
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(cgroup_root, own_cgroup) if (quota := _quota(folder)) is not None]
    return max(1, min([affinity, *(math.ceil(quota) for quota in quotas)]))


def _folders(root: Path, own: Path) -> Iterator[Path]:
    """The cgroup folders whose limits hold for this process, from its own up to the root."""
    yield from (root, root / "cpu")
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            mount = root
        elif "cpu" in controllers.split(","):
            mount = root / "cpu"
        else:
            continue
        nested = Path(path.lstrip("/"))
        yield from (mount / folder for folder in (nested, *nested.parents))


def _quota(folder: Path) -> float | None:
    try:
        if (v2 := folder / "cpu.max").is_file():
            quota, period = v2.read_text().split()[:2]
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError):
        return None
