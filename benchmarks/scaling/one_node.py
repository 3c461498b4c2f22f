"""One pod under load: what it holds, and what its bound on images in flight does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.scaling.fleet import PodModel
from benchmarks.scaling.inputs import Bound, CpuPod, GpuPod, Objective
from benchmarks.scaling.service_times import CpuWork, gpu_law
from benchmarks.scaling.station import poisson_arrivals

_IMAGES = 60_000
_MOST_SECONDS = 600.0
_WARM = 0.1
"""Share of the time that does not count: the queue is empty at the begin."""


@dataclass(frozen=True, slots=True)
class Point:
    """A pod at one rate for a while."""

    rate: float
    load: float
    """To what full batches could do."""
    answered: float
    """A second."""
    p50_ms: float
    p95_ms: float
    p99_ms: float
    refused: float
    """Share."""
    wait_ms: float
    """Mean, in the queue."""
    wait_p95_ms: float
    in_flight: float
    """Mean."""
    batch: float
    """Mean size."""
    busy: float
    """Share of the places' time."""


def cpu_pod(work: CpuWork, pod: CpuPod) -> PodModel:
    """The embedded engine; decoding and HTTP count as the engine's work, for they take the same processors."""
    return PodModel(work.folded(), pod.cores, pod.max_batch, pod.images_in_flight)


def gpu_pod(pod: GpuPod, bound: int, at: Bound = "base") -> PodModel:
    """Triton on one GPU, with so many images in flight as its gateways admit together."""
    return PodModel(gpu_law(pod, at), pod.instances, pod.max_batch, max(bound, pod.instances * pod.max_batch))


def measured_at(pod: PodModel, rate: float, seed: int, images: int = _IMAGES) -> Point:
    """Simulate one pod at a steady rate, for so many images."""
    generator = np.random.default_rng(seed)
    station = pod.station(generator)
    seconds = min(_MOST_SECONDS, images / rate)
    station.serve(poisson_arrivals(generator, rate, 0.0, seconds * _WARM), seconds * _WARM)
    served = station.serve(poisson_arrivals(generator, rate, seconds * _WARM, seconds), seconds)
    lasted = seconds * (1 - _WARM)
    p50, p95, p99 = (float(value) * 1e3 for value in np.percentile(served.latencies_s, (50, 95, 99)))
    return Point(
        rate=rate,
        load=rate / pod.capacity,
        answered=len(served.waits_s) / lasted,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        refused=served.refused / max(1, served.arrived),
        wait_ms=float(served.waits_s.mean()) * 1e3,
        wait_p95_ms=float(np.percentile(served.waits_s, 95)) * 1e3,
        in_flight=float(served.latencies_s.sum()) / lasted,
        batch=float(served.batch_sizes.mean()),
        busy=served.busy_s / lasted / pod.places,
    )


def load_curve(pod: PodModel, loads: Sequence[float], seed: int) -> list[Point]:
    """One point for each load."""
    return [measured_at(pod, load * pod.capacity, seed) for load in loads]


def bound_curve(pod: PodModel, bounds: Sequence[int], load: float, seed: int) -> list[tuple[int, Point]]:
    """The same overload with other bounds on images in flight."""
    return [
        (bound, measured_at(replace(pod, bound=bound), load * pod.capacity, seed))
        for bound in bounds
        if bound >= pod.places * pod.most
    ]


def sustained(pod: PodModel, objective: Objective, seed: int) -> Point:
    """The highest rate that holds the objective, to 1 % of the capacity; the lowest one tried where none does."""
    low, high = 0.01, objective.most_load
    held = measured_at(pod, low * pod.capacity, seed)
    while high - low > 0.01:
        load = (low + high) / 2
        point = measured_at(pod, load * pod.capacity, seed)
        if point.p99_ms <= objective.p99_ms and point.refused <= objective.refused:
            low, held = load, point
        else:
            high = load
    return held


def gateway_pods(rate: float, cores: int, image_s: float, utilisation: float) -> int:
    """Gateways of so many cores that a rate needs."""
    return max(1, math.ceil(rate * image_s / (cores * utilisation)))
