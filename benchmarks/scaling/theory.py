"""Closed formulas of queueing theory, which the simulation must agree with where they hold.

`rate` is arrivals a second (Poisson), `service_s` the mean time of service; waits are means, in seconds, of those who
arrive, without their service. Sources: Erlang (1917); Pollaczek and Khinchine, as in
Kleinrock, Queueing Systems I (1975).
"""

import math


def mm1_wait(rate: float, service_s: float) -> float:
    """One server, exponential times."""
    return mmc_wait(rate, service_s, 1)


def mmc_wait(rate: float, service_s: float, servers: int) -> float:
    """Several servers, exponential times: Erlang's C formula. ValueError where load is 1 or more."""
    offered = rate * service_s
    load = _stable(offered / servers)
    terms = [offered**k / math.factorial(k) for k in range(servers)]
    last = offered**servers / math.factorial(servers) / (1 - load)
    return last / (sum(terms) + last) * service_s / servers / (1 - load)


def mg1_wait(rate: float, service_s: float, variation: float) -> float:
    """One server, any times with this coefficient of variation: Pollaczek and Khinchine. 0 is M/D/1."""
    load = _stable(rate * service_s)
    return load * service_s * (1 + variation**2) / 2 / (1 - load)


def mmck_refused(rate: float, service_s: float, servers: int, places: int) -> float:
    """Share that is refused where at most ``places`` are in the system, service included."""
    offered = rate * service_s
    weights = [
        offered**k / math.factorial(k)
        if k <= servers
        else offered**k / (math.factorial(servers) * servers ** (k - servers))
        for k in range(places + 1)
    ]
    return weights[-1] / sum(weights)


def _stable(load: float) -> float:
    if not 0 <= load < 1:
        raise ValueError(f"the queue grows without end at a load of {load:g}; it must be below 1")
    return load
