"""How many processors this process may really use: the container's share, not the host's count."""

import math
import os

from service.cgroup import Cgroup


def available_cpus(cgroup: Cgroup | None = None) -> int:
    """Processors by affinity and by cgroup quota (v1 and v2), whichever is less; at least 1.

    ONNX Runtime and most pools count the host's (microsoft/onnxruntime#29510).
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = (cgroup or Cgroup()).quota()
    return max(1, affinity if quota is None else min(affinity, math.ceil(quota)))
