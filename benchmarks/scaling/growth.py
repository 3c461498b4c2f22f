"""Traffic that grows, and the autoscaler that follows: how long callers are refused meanwhile."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.scaling.autoscaler import Policy, Rules
from benchmarks.scaling.fleet import Fleet, History, PodModel, Scaling, Scenario, StartTimes, ZoneFailure
from benchmarks.scaling.inputs import Autoscaling, Bound, Inputs

_CHANGE_S = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a fleet came through."""

    name: str
    pods: int
    """At the begin."""
    history: History
    failed: float
    """Share of all requests from the change on."""
    failed_for_s: float
    """Seconds in which more than 1 % failed."""
    most: int
    """Pods at the highest."""
    at_end: int
    p99_ms: float
    """Of the answers from the change on."""
    pod_hours: float


def start_times(inputs: Inputs, *, gpu: bool, at: Bound = "base") -> StartTimes:
    """Of a gateway, or of Triton with its models; the probe finds it half a period late."""
    start = inputs.start
    starting_s = start.service_s + start.readiness_period_s / 2 + (start.triton_start_s.at(at) if gpu else 0.0)
    return StartTimes(
        pending_s=start.scheduling_s.at(at) + start.image_pull_s.at(at),
        starting_s=starting_s,
        node_s=start.node_s.at(at),
        nodes_at_once=start.nodes_at_once,
        spare=start.spare,
    )


def scaling(inputs: Inputs, way: Autoscaling, held: float, *, least: int = 1, most: int = 1_000_000) -> Scaling:
    """Kubernetes' autoscaler, set this way; ``held`` is the images a second that a pod holds."""
    told = inputs.kubernetes
    rules = Rules(
        up=[Policy(pace.percent, pace.pods, pace.period_s) for pace in way.up],
        down=[Policy(pace.percent, pace.pods, pace.period_s) for pace in way.down],
        up_window_s=way.up_window_s,
        down_window_s=way.down_window_s,
        tolerance=told.tolerance,
        least=least,
        most=most,
    )
    return Scaling(
        rules,
        queue_wait_s=None if way.queue_wait_ms is None else way.queue_wait_ms / 1e3,
        in_flight=way.in_flight,
        images_per_s=None if way.images_per_s is None else way.images_per_s * held,
        clamp=way.clamp,
        wait_percentile=way.wait_percentile,
        wait_window_s=way.wait_window_s,
        in_flight_window_s=way.in_flight_window_s,
        sync_s=told.sync_s,
        scrape_s=told.scrape_s,
    )


def risen(
    low: float, high: float, up_s: float, down_s: float = math.inf, over_s: float = 30.0
) -> Callable[[float], float]:
    """A rate that rises from one value to another within so many seconds, and later falls back as quickly."""

    def rate(now: float) -> float:
        share = min(1.0, max(0.0, (now - up_s) / over_s)) - min(1.0, max(0.0, (now - down_s) / over_s))
        return low + (high - low) * share

    return rate


@dataclass(frozen=True, slots=True)
class Rise:
    """Traffic for a fleet of so many pods, each at this share of what it holds; for a while, a multiple of it."""

    pods: int
    load: float
    factor: float
    seconds: float
    down_s: float = math.inf


def grown(
    inputs: Inputs, pod: PodModel, held: float, start: StartTimes, name: str, way: Autoscaling, rise: Rise, seed: int
) -> Outcome:
    """More comes after two minutes; the fleet is never smaller than at its begin."""
    rate = rise.pods * rise.load * held
    scenario = Scenario(
        pod=pod,
        pods=rise.pods,
        rate=risen(rate, rate * rise.factor, _CHANGE_S, rise.down_s),
        seconds=rise.seconds,
        start=start,
        scaling=scaling(inputs, way, held, least=rise.pods),
        seed=seed,
    )
    return outcome(name, scenario)


def zone_lost(
    inputs: Inputs,
    pod: PodModel,
    held: float,
    start: StartTimes,
    way: Autoscaling | None,
    pods: int,
    load: float,
    toleration_s: float,
    seed: int,
    seconds: float = 900.0,
) -> Outcome:
    """One zone of several goes after two minutes, at a steady rate; only then does anything scale, if it does."""
    told = inputs.kubernetes
    scenario = Scenario(
        pod=pod,
        pods=pods,
        rate=lambda _: pods * load * held,
        seconds=seconds,
        # What stands ready is in the zones by chance; that none is left is the worse case.
        start=replace(start, spare=0.0),
        scaling=None if way is None else replace(scaling(inputs, way, held, least=pods), begins_s=_CHANGE_S),
        failure=ZoneFailure(_CHANGE_S, told.noticed_s, told.node_grace_s + toleration_s),
        zones=inputs.zones,
        seed=seed,
    )
    return outcome("a zone lost", scenario)


def outcome(name: str, scenario: Scenario) -> Outcome:
    """Run it, and look at what came after the change."""
    history = Fleet(scenario).run()
    rows = zip(history.seconds, history.answered, history.refused, history.lost, strict=True)
    failing = sum(
        refused + lost > 0.01 * (answered + refused + lost) for at, answered, refused, lost in rows if at >= _CHANGE_S
    )
    return Outcome(
        name=name,
        pods=scenario.pods,
        history=history,
        failed=history.failed_share(_CHANGE_S),
        failed_for_s=float(failing),
        most=max(history.ready),
        at_end=history.ready[-1],
        p99_ms=history.percentile_ms(99, _CHANGE_S),
        pod_hours=history.pod_seconds / 3600,
    )
