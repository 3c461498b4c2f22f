"""How many files and connections the process may have open, so that each door takes its part and none takes all."""

import resource

_UNLIMITED = 1 << 20


def descriptors() -> int:
    """As many as `ulimit -n` says."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft
