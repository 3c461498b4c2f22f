"""A canary's share: how soon it is decided upon, how often wrongly, and what a slow one does to everybody's p99.

The rules and the windows are the service's own (`service.rollout`); each gateway judges by what it has seen itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks.scaling.node import Gateway, Log, open_loop
from benchmarks.scaling.service_times import CpuWork
from benchmarks.scaling.station import Seconds
from benchmarks.scaling.validation import moments
from service.registry.traffic import RollbackRules
from service.rollout.rules import breach
from service.rollout.window import Window

Counted = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decision:
    """How long until some gateway has seen enough to judge."""

    rate: float
    """Requests a second of the model, all gateways together."""
    gateways: int
    share: float
    within_an_hour: float
    """Share of the trials in which some gateway had."""
    median_s: float
    """Of the trials; infinite where half or more had not."""


def decision(rate: float, gateways: int, share: float, rules: RollbackRules, seed: int, trials: int = 100) -> Decision:
    """Draw the canary's requests at each gateway, and wait for the first window that holds enough of them."""
    generator = np.random.default_rng(seed)
    own = rate * share / gateways
    firsts = np.full(trials, np.inf)
    need, most_s = rules.min_requests, 3600.0
    for trial in range(trials):
        for _ in range(gateways):
            firsts[trial] = min(firsts[trial], _first_full_window(generator, own, need, rules.window_s, most_s))
    return Decision(
        rate, gateways, share, float(np.isfinite(firsts).mean()), float(np.quantile(firsts, 0.5, method="higher"))
    )


def _first_full_window(generator: np.random.Generator, rate: float, need: int, window_s: float, most_s: float) -> float:
    """Seconds until ``need`` arrivals lie within a window; infinite if not in time."""
    count = min(int(generator.poisson(rate * most_s)), 200 * need)
    if count < need:
        return float("inf")
    arrivals = np.cumsum(generator.exponential(1 / rate, count))
    full = np.flatnonzero(arrivals[need - 1 :] - arrivals[: count - need + 1] <= window_s)
    return float(arrivals[full[0] + need - 1]) if len(full) else float("inf")


@dataclass(frozen=True, slots=True)
class Alarms:
    """How a number of requests that must be seen tells good canaries from bad ones."""

    min_requests: int
    wrongly: float
    """Share of canaries as good as stable that are sent back within an hour."""
    caught: float
    """Share of bad ones that are sent back within an hour."""
    after_s: float
    """Median time until a bad one is."""


def alarms(
    need: int, rate: float, share: float, faults: tuple[float, float], window_s: float, seed: int, trials: int = 300
) -> Alarms:
    """Judge canaries that fail as often as stable does, and others that fail more: `faults` is both shares."""
    rules = RollbackRules(min_requests=need, window_s=window_s, max_p99_ratio=None, max_disagreement=None)
    good = _sent_back_after(rules, rate, share, faults[0], faults[0], seed, trials)
    bad = _sent_back_after(rules, rate, share, faults[0], faults[1], seed + 1, trials)
    return Alarms(need, float(np.isfinite(good).mean()), float(np.isfinite(bad).mean()), float(np.median(bad)))


def _sent_back_after(
    rules: RollbackRules, rate: float, share: float, stable_faults: float, canary_faults: float, seed: int, trials: int
) -> Seconds:
    """Seconds until `rules.breach` by faults at one gateway, [trials]; infinite within the hour."""
    generator = np.random.default_rng(seed)
    seconds, length = 3600, int(rules.window_s)
    found = np.full(trials, np.inf)
    for trial in range(trials):
        sums = []
        for own, bad in ((rate * share, canary_faults), (rate * (1 - share), stable_faults)):
            requests = generator.poisson(own, seconds)
            failed = generator.binomial(requests, bad)
            sums += [_rolling(requests, length), _rolling(failed, length)]
        where = np.flatnonzero(faulty(rules, *sums))
        if len(where):
            found[trial] = where[0] + 1
    return found


def faulty(
    rules: RollbackRules,
    requests: Counted,
    faults: Counted,
    stable_requests: Counted,
    stable_faults: Counted,
) -> Flags:
    """The rule of faults in `service.rollout.rules`, over many windows at once; [N] bool."""
    excess = faults / np.maximum(requests, 1) - stable_faults / np.maximum(stable_requests, 1)
    allowed = np.inf if rules.max_error_rate is None else rules.max_error_rate
    found: Flags = (requests >= rules.min_requests) & (faults > 0) & (excess > allowed)
    return found


def _rolling(counts: Counted, length: int) -> Counted:
    padded = np.concatenate([np.zeros(length - 1, counts.dtype), counts])
    sums: Counted = sliding_window_view(padded, length).sum(axis=1)
    return sums


@dataclass(frozen=True, slots=True)
class Slow:
    """A canary that is slower, beside stable in the same pods."""

    share: float
    slower: float
    stable_p99_ms: float
    canary_p99_ms: float
    all_p99_ms: float
    refused: float
    sent_back_after_s: float | None
    """By `max_p99_ratio`; None: not at all."""


def slow_canary(
    work: CpuWork,
    cores: int,
    most: int,
    bound: int,
    share: float,
    slower: float,
    rate: float,
    rules: RollbackRules,
    seed: int,
    seconds: float = 240.0,
) -> Slow:
    """One pod whose callers are divided; it is judged, but not sent back, so that its effect is seen."""
    gateway = Gateway(work, cores, most, bound, slower=(1.0, slower))
    lot = np.random.default_rng(seed).random(int(rate * seconds * 2))
    log = open_loop(gateway, moments(rate, seconds, seed), seed, lambda number: int(lot[number] < share))
    asked = len(log.ended) + log.refused
    return Slow(
        share,
        slower,
        log.percentile_ms(99, 0),
        log.percentile_ms(99, 1),
        log.percentile_ms(99),
        log.refused / asked,
        judged(log, rules),
    )


def judged(log: Log, rules: RollbackRules) -> float | None:
    """When the service's rules send the second version back, looked at once a second as the service does."""
    now = 0.0
    windows = [Window(rules.window_s, lambda: now) for _ in range(2)]
    look = 1.0
    for ended, seconds, version in zip(log.ended, log.engine_s, log.versions, strict=True):
        while ended > look:
            now = look
            if breach(rules, windows[1].counts(), windows[0].counts()) is not None:
                return look
            look += 1.0
        now = ended
        windows[version].answered(seconds)
    return None


def decisions(
    rates: Sequence[float], shares: Sequence[float], pod_rate: float, rules: RollbackRules, seed: int
) -> list[Decision]:
    """Each rate with each share; gateways are two, or more where each answers at most ``pod_rate``."""
    return [
        decision(rate, max(2, math.ceil(rate / pod_rate)), share, rules, seed) for rate in rates for share in shares
    ]
