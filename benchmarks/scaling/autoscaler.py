"""The HorizontalPodAutoscaler as Kubernetes computes it, for metrics of type Pods with an average value.

After pkg/controller/podautoscaler: `calcPlainMetricReplicas` for each metric, the largest proposal of all metrics, then
the stabilisation windows, then the policies.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """So many pods within so many seconds: percent of those at the period's begin, or a number."""

    percent: float | None
    pods: int | None
    period_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """`spec.behavior`, with the tolerance of the controller."""

    up: Sequence[Policy]
    down: Sequence[Policy]
    up_window_s: float = 0.0
    down_window_s: float = 300.0
    tolerance: float = 0.1
    least: int = 1
    most: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """One metric over the pods, as the metrics server tells it."""

    mean: float
    """Of the pods that have the metric."""
    target: float
    told: int
    """Pods that have it."""
    pending: int = 0
    """Pods that do not run yet."""
    missing: int = 0
    """Pods that run and have no such metric: on a node that is gone, or before their first scrape."""


def proposed(seen: Seen, current: int, tolerance: float) -> int:
    """Replicas that one metric asks for.

    Where the metric says grow, pods without a figure count as idle; where it says shrink, the missing ones count as
    just at the target. Neither may turn the direction round.
    """
    if seen.told == 0:
        return current
    ratio = seen.mean / seen.target
    grow_beside_pending = seen.pending > 0 and ratio > 1
    if not grow_beside_pending and seen.missing == 0:
        return current if abs(1 - ratio) <= tolerance else math.ceil(ratio * seen.told)
    total, count = ratio * seen.told, seen.told
    if seen.missing:
        total += seen.missing if ratio < 1 else 0
        count += seen.missing
    if grow_beside_pending:
        count += seen.pending
    rebalanced = total / count
    if abs(1 - rebalanced) <= tolerance or (ratio < 1 < rebalanced) or (ratio > 1 > rebalanced):
        return current
    replicas = math.ceil(rebalanced * count)
    turned = (rebalanced < 1 and replicas > current) or (rebalanced > 1 and replicas < current)
    return current if turned else replicas


@dataclass(slots=True)
class Autoscaler:
    """Remembers what it recommended and what it changed."""

    rules: Rules
    _recommended: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def decide(self, now: float, current: int, metrics: Sequence[Seen]) -> int:
        """The replicas to have from now on; to be asked at each sync, in order of time."""
        rules = self.rules
        wanted = max(proposed(seen, current, rules.tolerance) for seen in metrics)
        wanted = min(max(self._stabilised(now, current, wanted), rules.least), rules.most)
        if wanted > current:
            wanted = min(wanted, max(self._limit(now, current, policy, up=True) for policy in rules.up))
            wanted = max(wanted, current)
        elif wanted < current:
            wanted = max(wanted, min(self._limit(now, current, policy, up=False) for policy in rules.down))
            wanted = min(wanted, current)
        if wanted != current:
            self._changes.append((now, wanted - current))
        return wanted

    def _stabilised(self, now: float, current: int, wanted: int) -> int:
        """Grow to the least, shrink to the most, of what was wanted within the window."""
        rules = self.rules
        self._recommended.append((now, wanted))
        while self._recommended[0][0] < now - max(rules.up_window_s, rules.down_window_s):
            self._recommended.popleft()
        least = min(count for moment, count in self._recommended if moment >= now - rules.up_window_s)
        most = max(count for moment, count in self._recommended if moment >= now - rules.down_window_s)
        return min(max(current, least), most)

    def _limit(self, now: float, current: int, policy: Policy, *, up: bool) -> int:
        changed = sum(count for moment, count in self._changes if moment > now - policy.period_s)
        at_begin = current - changed
        if policy.pods is not None:
            return at_begin + policy.pods if up else at_begin - policy.pods
        share = (policy.percent or 0.0) / 100
        return math.ceil(at_begin * (1 + share)) if up else math.floor(at_begin * (1 - share))
