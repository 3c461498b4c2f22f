"""All groups of checks, in the order in which they are told."""

from service.doctor import (
    access,
    clock,
    combinations,
    confinement,
    disk,
    engine,
    health,
    libraries,
    limits,
    memory,
    plans,
    ports,
    processors,
    shared_memory,
    tls,
    triton,
)

BEFORE, VALUES, SECRETS = "Command line", "values", "secrets"
"""The group and the checks that come before all others, see `service.doctor.start`."""

GROUPS = (
    processors.GROUP,
    memory.GROUP,
    limits.GROUP,
    engine.GROUP,
    plans.GROUP,
    triton.GROUP,
    shared_memory.GROUP,
    health.GROUP,
    disk.GROUP,
    ports.GROUP,
    access.GROUP,
    tls.GROUP,
    clock.GROUP,
    libraries.GROUP,
    confinement.GROUP,
    combinations.GROUP,
)
