"""How long things take: from the measured report for the processor, from assumptions for the GPU."""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.random import Generator

from benchmarks.scaling.inputs import ROOT, Bound, GpuPod, Inputs, Row, read_rows

_Z95 = 1.6449
"""Standard deviations from the median to the 95th percentile of a normal distribution."""


@dataclass(frozen=True, slots=True)
class ServiceLaw:
    """Seconds of a batch of n: (fixed + each n) times a lognormal of median 1."""

    fixed_s: float
    each_s: float
    spread: float = 0.0
    """Standard deviation of its logarithm; 0: always the same."""

    def typical(self, images: int) -> float:
        """Seconds of a batch of this size, at the median."""
        return self.fixed_s + self.each_s * images

    def factors(self, generator: Generator, count: int) -> list[float]:
        """So many draws of what a batch's time is multiplied by."""
        if self.spread == 0:
            return [1.0] * count
        factors: list[float] = np.exp(generator.normal(0.0, self.spread, count)).tolist()
        return factors

    @property
    def mean_factor(self) -> float:
        """What the factors are on average."""
        return math.exp(self.spread**2 / 2)

    def capacity(self, places: int, most: int) -> float:
        """Images a second of so many places with full batches."""
        return places * most / (self.typical(most) * self.mean_factor)


@dataclass(frozen=True, slots=True)
class CpuWork:
    """CPU seconds of one image on the processor that was measured, by the thread that spends them."""

    event_loop_s: float
    """HTTP and JSON, in the one thread of the event loop."""
    worker_s: float
    """Decoding and preprocessing."""
    model_s: float
    spread: float

    @property
    def service_s(self) -> float:
        """Of the service without its model."""
        return self.event_loop_s + self.worker_s

    @property
    def whole_s(self) -> float:
        """Of an image in all."""
        return self.service_s + self.model_s

    def scaled(self, whole_s: float) -> Self:
        """The same parts of another whole."""
        by = whole_s / self.whole_s
        return replace(
            self, event_loop_s=self.event_loop_s * by, worker_s=self.worker_s * by, model_s=self.model_s * by
        )

    def folded(self) -> ServiceLaw:
        """All of it as the work of the engine: what a pod's processors can do is the same."""
        return ServiceLaw(0.0, self.whole_s, self.spread)


def cpu_work(inputs: Inputs) -> CpuWork:
    """From the reports of the model and of one so small that the service's own work is what counts.

    The bare loop decodes, preprocesses and runs the model; what the service needs more is its event loop's. What the
    bare loop needs for the small model, less that model, is the worker's.
    """
    measured = inputs.measured
    rows = read_rows(ROOT / measured.report, measured.model)
    small = _row(read_rows(ROOT / measured.report, measured.small_model), measured.callers)
    model = _row(rows, measured.callers)
    worker_ms = small.ceiling_cpu_ms - measured.small_model_ms
    alone = _row(rows, 1)
    return CpuWork(
        event_loop_s=(model.cpu_ms - model.ceiling_cpu_ms) / 1e3,
        worker_s=worker_ms / 1e3,
        model_s=(model.ceiling_cpu_ms - worker_ms) / 1e3,
        spread=math.log(alone.p95_ms / alone.p50_ms) / _Z95,
    )


def gpu_law(pod: GpuPod, bound: Bound = "base") -> ServiceLaw:
    """Of one instance on one GPU: assumed."""
    return ServiceLaw(pod.fixed_ms.at(bound) / 1e3, pod.per_image_ms.at(bound) / 1e3, pod.spread)


def _row(rows: list[Row], callers: int) -> Row:
    return next(row for row in rows if row.callers == callers)
