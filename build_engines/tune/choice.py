"""Which measurements to make, when one is good enough, and what follows from them; all without a clock."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from build_engines.artifact import BuildFailure
from contract.card import Measurement, ModelCard

GAIN = 0.10
"""By how much less time an image must take for a larger batch to be worth its wait."""

_LEAST_CALLS = 20
_STABLE = 0.02
"""How far the medians of the two halves may lie apart, in parts of the whole's."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the processors are shared out."""

    callers: int
    threads: int
    """Threads that the engine gives to one batch."""


def arrangements(cpus: int) -> list[Arrangement]:
    """The service's way first (a caller for each processor), then fewer callers with more threads, then one alone.

    None has more callers x threads than there are processors.
    """
    threads = sorted({1 << power for power in range(cpus.bit_length()) if 1 << power <= cpus} | {cpus})
    shared = [Arrangement(cpus // count, count) for count in threads]
    return list(dict.fromkeys([*shared, Arrangement(1, 1)]))


def certified_sizes(card: ModelCard, wanted: str | None) -> list[int]:
    """The batch sizes to measure, ascending: those on offer, or those of them that ``1,4,8`` names.

    BuildFailure for a size that the certificate does not cover.
    """
    if wanted is None:
        return list(card.batch_sizes)
    offered = {str(size): size for size in card.batch_sizes}
    names = {name.strip() for name in wanted.split(",")}
    if refused := sorted(names - offered.keys()):
        raise BuildFailure(
            f"{card.name}:{card.version} is not certified for batches of {', '.join(refused)}",
            f"measure some of those on offer: {','.join(offered)}",
        )
    return sorted(offered[name] for name in names)


def is_stable(milliseconds: Sequence[float]) -> bool:
    """Whether latencies, in the order in which they were taken, need no more of them.

    There are 20 at least, and the medians of their two halves differ by 2 % at most: the machine has warmed up, and
    the median has settled.
    """
    if len(milliseconds) < _LEAST_CALLS:
        return False
    half = len(milliseconds) // 2
    first, second, whole = (float(np.median(part)) for part in (milliseconds[:half], milliseconds[half:], milliseconds))
    return abs(first - second) <= _STABLE * whole


def summarise(size: int, arrangement: Arrangement, milliseconds: Sequence[float]) -> Measurement:
    """The measurement that latencies of whole batches make, all callers' together."""
    p50, p99 = np.percentile(milliseconds, [50, 99])
    per_caller = size * 1000 / float(np.mean(milliseconds))
    return Measurement(
        batch_size=size,
        callers=arrangement.callers,
        threads=arrangement.threads,
        latency_p50_ms=round(float(p50), 4),
        latency_p99_ms=round(float(p99), 4),
        images_per_second=round(per_caller * arrangement.callers, 2),
    )


def cost_by_size(measurements: Sequence[Measurement]) -> dict[int, float]:
    """Milliseconds of the whole machine an image, by batch size, ascending.

    It is p50 / (batch size x callers), in the arrangement that is the best for that size among those that keep most
    processors busy: what one caller alone reaches says little of a machine that is in use.
    """
    busiest = max((item.callers * item.threads for item in measurements), default=0)
    costs: dict[int, float] = {}
    for item in measurements:
        if item.callers * item.threads == busiest:
            cost = item.latency_p50_ms / (item.batch_size * item.callers)
            costs[item.batch_size] = min(cost, costs.get(item.batch_size, cost))
    return dict(sorted(costs.items()))


def preferred_sizes(measurements: Sequence[Measurement]) -> tuple[int, ...]:
    """The batch sizes to aim at, ascending.

    The smallest is one of them. A larger one is, if an image costs at least 10 % less in it than in the largest one
    chosen before: what does not gain that much is not worth waiting for more images.
    """
    chosen: list[int] = []
    costs = cost_by_size(measurements)
    for size, cost in costs.items():
        if not chosen or cost <= (1 - GAIN) * costs[chosen[-1]]:
            chosen.append(size)
    return tuple(chosen)
