"""Many pods that come, work and go: zones, nodes, the time that a start takes, and the autoscaler.

Arrivals that are spread over pods by lot make at each pod a Poisson process of its share of the rate, independent of
all others. So pods that began together are alike, and up to two of each such cohort are simulated for all of it, batch
by batch; what these do counts for as many as there are. That is how a thousand GPUs fit into minutes.
"""

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from simpy import Environment, Event, Resource

from benchmarks.scaling.autoscaler import Autoscaler, Rules, Seen
from benchmarks.scaling.histogram import EDGES, Counts, counted, percentile_ms
from benchmarks.scaling.service_times import ServiceLaw
from benchmarks.scaling.station import Station, poisson_arrivals

Steps = Generator[Event, Any, None]
_SAMPLED = 2
_TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class PodModel:
    """What one pod is."""

    law: ServiceLaw
    places: int
    most: int
    bound: int
    """Images in flight; more are refused."""

    @property
    def capacity(self) -> float:
        """Images a second with full batches."""
        return self.law.capacity(self.places, self.most)

    def station(self, generator: np.random.Generator) -> Station:
        """A fresh one."""
        return Station(self.law, self.places, self.most, self.bound, generator)


@dataclass(frozen=True, slots=True)
class StartTimes:
    """Seconds of a pod's start."""

    pending_s: float
    """Scheduling and pulling the image, where a node is there."""
    starting_s: float
    """From the container's start to the first request."""
    node_s: float
    nodes_at_once: int
    spare: float
    """Share of the first pods for which a node stands ready."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What the autoscaler looks at; a target that is None is not looked at."""

    rules: Rules
    queue_wait_s: float | None = None
    in_flight: float | None = None
    images_per_s: float | None = None
    """That come to a pod, refused ones included."""
    clamp: float | None = None
    """No pod tells more than so many times the target."""
    wait_percentile: float | None = None
    """Of the queue wait that is looked at; None: its mean."""
    wait_window_s: float = 60.0
    in_flight_window_s: float = 0.0
    """0: the gauge as it stood at the scrape."""
    sync_s: float = 15.0
    scrape_s: float = 15.0
    begins_s: float = 0.0
    """Before, the number of pods stays as it is."""


@dataclass(frozen=True, slots=True)
class ZoneFailure:
    """One zone is gone for good."""

    at_s: float
    noticed_s: float
    """Seconds until nothing is sent there any more."""
    replaced_s: float
    """Seconds until its pods are made anew elsewhere: the node's grace period and the pods' toleration."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to a fleet."""

    pod: PodModel
    pods: int
    rate: Callable[[float], float]
    """Images a second, by the time."""
    seconds: float
    start: StartTimes
    scaling: Scaling | None = None
    failure: ZoneFailure | None = None
    zones: int = 1
    seed: int = 0


@dataclass(slots=True)
class History:
    """One entry a second."""

    seconds: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    """Sent to pods that are gone."""
    latencies: list[Counts] = field(default_factory=list)

    def percentile_ms(self, share: float, begin: float = 0.0, end: float = math.inf) -> float:
        """Of the answers within a time."""
        chosen = [counts for at, counts in zip(self.seconds, self.latencies, strict=True) if begin <= at < end]
        return percentile_ms(np.sum(chosen, axis=0), share)

    def failed_share(self, begin: float = 0.0, end: float = math.inf) -> float:
        """Refused and lost, of all within a time."""
        rows = np.array([self.seconds, self.answered, self.refused, self.lost])
        answered, refused, lost = rows[1:, (begin <= rows[0]) & (rows[0] < end)].sum(axis=1)
        return float((refused + lost) / max(answered + refused + lost, 1.0))

    @property
    def pod_seconds(self) -> float:
        """Of pods that were ready."""
        return float(sum(self.ready)) * _TICK_S


@dataclass(slots=True, eq=False)
class _Cohort:
    """Pods that became ready together in one zone."""

    zone: int
    pods: int
    stations: list[Station]
    since: float


@dataclass(slots=True, eq=False)
class _Coming:
    """Pods on their way."""

    zone: int
    pods: int
    pending: bool = True


@dataclass(frozen=True, slots=True)
class _Sums:
    """Over all pods in one tick."""

    waits_s: float
    waits: Counts
    images: float
    in_flight: float
    came: float
    pods: int


class Fleet:
    """A scenario that runs."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._env = Environment()
        self._generator = np.random.default_rng(scenario.seed)
        self._cohorts: list[_Cohort] = []
        self._coming: list[_Coming] = []
        self._gone = 0
        """Pods in the zone that failed, which Kubernetes still counts."""
        self._failed_zone: int | None = None
        self._wanted = scenario.pods
        self._spare = math.ceil(scenario.start.spare * scenario.pods)
        self._chunk = max(1, scenario.start.nodes_at_once // 4)
        self._orders = Resource(self._env, max(1, scenario.start.nodes_at_once // self._chunk))
        ticks = math.ceil(_longest_window_s(scenario.scaling) / _TICK_S)
        self._recent: deque[_Sums] = deque(maxlen=ticks)
        self._scraped: tuple[tuple[float, ...], int] = ((0.0, 0.0, 0.0), 0)
        """Wait, images in flight and images a second of a pod, on average; and pods that told."""
        self.history = History()

    def run(self) -> History:
        """All of it, second by second."""
        for zone, pods in enumerate(_shares(self._scenario.pods, range(self._scenario.zones))):
            self._ready(zone, pods)
        self._env.process(self._serve())
        if self._scenario.scaling:
            self._env.process(self._scrape(self._scenario.scaling))
            self._env.process(self._scale(self._scenario.scaling))
        if self._scenario.failure:
            self._env.process(self._fail(self._scenario.failure))
        self._env.run(self._scenario.seconds)
        return self.history

    @property
    def _ready_pods(self) -> int:
        return sum(cohort.pods for cohort in self._cohorts)

    def _ready(self, zone: int, pods: int) -> None:
        if pods:
            stations = [self._scenario.pod.station(self._generator) for _ in range(min(pods, _SAMPLED))]
            self._cohorts.append(_Cohort(zone, pods, stations, self._env.now))

    def _serve(self) -> Steps:
        """Spread each second's images over the pods that take any."""
        while True:
            begin = self._env.now
            rate = self._scenario.rate(begin)
            dead = self._gone if self._unnoticed(begin) else 0
            pods = self._ready_pods
            each = rate / max(pods + dead, 1)
            self._tick(begin, rate, each, pods, dead)
            yield self._env.timeout(_TICK_S)

    def _unnoticed(self, now: float) -> bool:
        failure = self._scenario.failure
        return failure is not None and failure.at_s <= now < failure.at_s + failure.noticed_s

    def _tick(self, begin: float, rate: float, each: float, pods: int, dead: int) -> None:
        answered = refused = waits = in_flight = 0.0
        latencies, wait_counts = np.zeros(len(EDGES) - 1), np.zeros(len(EDGES) - 1)
        for cohort in self._cohorts:
            weight = cohort.pods / len(cohort.stations)
            for station in cohort.stations:
                arrivals = poisson_arrivals(self._generator, each, begin, begin + _TICK_S)
                served = station.serve(arrivals, begin + _TICK_S)
                latencies += counted(served.latencies_s, weight)
                wait_counts += counted(served.waits_s, weight)
                answered += weight * len(served.waits_s)
                refused += weight * served.refused
                waits += weight * float(served.waits_s.sum())
                in_flight += weight * station.in_flight(begin + _TICK_S)
        self._recent.append(_Sums(waits, wait_counts, answered, in_flight, answered + refused, pods))
        lost = rate * _TICK_S if not pods else each * dead * _TICK_S
        history = self.history
        history.seconds.append(begin)
        history.rate.append(rate)
        history.ready.append(pods)
        history.wanted.append(self._wanted)
        history.answered.append(answered)
        history.refused.append(refused)
        history.lost.append(lost)
        history.latencies.append(latencies)

    def _scrape(self, scaling: Scaling) -> Steps:
        while True:
            yield self._env.timeout(scaling.scrape_s)
            if scaling.wait_percentile is None:
                wait = sum(sums.waits_s for sums in self._recent) / max(1.0, sum(sums.images for sums in self._recent))
            else:
                wait = (
                    percentile_ms(np.sum([sums.waits for sums in self._recent], axis=0), scaling.wait_percentile) / 1e3
                )
            lately = list(self._recent)[-max(1, math.ceil(scaling.in_flight_window_s / _TICK_S)) :]
            each = [sums.in_flight / sums.pods for sums in lately if sums.pods]
            told = sum(c.pods for c in self._cohorts if self._env.now - c.since >= scaling.scrape_s or c.since == 0)
            came = [sums.came / sums.pods / _TICK_S for sums in self._recent if sums.pods]
            means = (float(np.mean(values)) if values else 0.0 for values in (each, came))
            self._scraped = ((0.0 if math.isnan(wait) else wait, *means), told)

    def _scale(self, scaling: Scaling) -> Steps:
        autoscaler = Autoscaler(scaling.rules)
        # The controller's clock and Prometheus' have nothing to do with each other; half a scrape lies between.
        yield self._env.timeout(max(scaling.sync_s, scaling.begins_s) + scaling.scrape_s / 2)
        while True:
            values, told = self._scraped
            told = min(told, self._ready_pods)
            pending = sum(coming.pods for coming in self._coming if coming.pending)
            missing = self._wanted - pending - told
            targets = (scaling.queue_wait_s, scaling.in_flight, scaling.images_per_s)
            metrics = [
                Seen(min(value, target * (scaling.clamp or math.inf)), target, told, pending, max(0, missing))
                for value, target in zip(values, targets, strict=True)
                if target is not None
            ]
            self._change(autoscaler.decide(self._env.now, self._wanted, metrics))
            yield self._env.timeout(scaling.sync_s)

    def _change(self, wanted: int) -> None:
        more, self._wanted = wanted - self._wanted, wanted
        if more > 0:
            self._begin(more)
        elif more < 0:
            self._remove(-more)

    def _begin(self, pods: int) -> None:
        """Start pods, those for which nodes stand ready apart from those that wait for new ones."""
        zones = [zone for zone in range(self._scenario.zones) if zone != self._failed_zone]
        at_once = min(pods, self._spare)
        self._spare -= at_once
        for zone, share in zip(zones, _shares(at_once, zones), strict=True):
            self._env.process(self._start(_Coming(zone, share), new_node=False))
        for zone, share in zip(zones, _shares(pods - at_once, zones), strict=True):
            for chunk in range(0, share, self._chunk):
                coming = _Coming(zone, min(self._chunk, share - chunk))
                self._env.process(self._start(coming, new_node=True))

    def _start(self, coming: _Coming, *, new_node: bool) -> Steps:
        start = self._scenario.start
        self._coming.append(coming)
        if new_node:
            with self._orders.request() as order:
                yield order
                yield self._env.timeout(start.node_s * self._generator.uniform(0.8, 1.2))
        yield self._env.timeout(start.pending_s)
        coming.pending = False
        yield self._env.timeout(start.starting_s)
        self._coming.remove(coming)
        self._ready(coming.zone, coming.pods)

    def _remove(self, pods: int) -> None:
        """Those that do not run yet go first, then the youngest; the few images that they hold are not counted."""
        for coming in reversed(self._coming):
            less = min(pods, coming.pods)
            coming.pods -= less
            pods -= less
        for cohort in reversed(self._cohorts):
            less = min(pods, cohort.pods)
            cohort.pods -= less
            pods -= less
            self._spare += less
            del cohort.stations[cohort.pods :]
        self._cohorts = [cohort for cohort in self._cohorts if cohort.pods]

    def _fail(self, failure: ZoneFailure) -> Steps:
        yield self._env.timeout(failure.at_s)
        self._failed_zone = 0
        self._gone = sum(cohort.pods for cohort in self._cohorts if cohort.zone == 0)
        self._cohorts = [cohort for cohort in self._cohorts if cohort.zone != 0]
        self._spare -= self._spare // self._scenario.zones
        yield self._env.timeout(failure.replaced_s)
        gone, self._gone = self._gone, 0
        self._begin(gone)


def _longest_window_s(scaling: Scaling | None) -> float:
    return max(scaling.wait_window_s, scaling.in_flight_window_s, _TICK_S) if scaling else _TICK_S


def _shares(count: int, among: range | list[int]) -> list[int]:
    """Split as evenly as whole numbers allow."""
    parts = len(among)
    return [count // parts + (place < count % parts) for place in range(parts)]
