"""How long is waited for what."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds; no call to Triton is without an end."""

    call_s: float = 5.0
    """For a small question about what is loaded."""
    look_s: float = 2.0
    """For the look that tells whether a replica is well."""
    request_s: float = 60.0
    """For an inference whose caller sets no deadline."""
    load_s: float = 300.0
    """For a load: a large plan takes its time, and warm-up is part of it."""
    unload_s: float = 30.0
    """Until a version that was to be unloaded is gone."""
    check_s: float = 1.0
    """Between two looks at a replica that is well."""
    lookup_s: float = 10.0
    """Between two look-ups of a name."""
    start_s: float = 3.0
    """For the first look at all replicas, when the pool starts."""
