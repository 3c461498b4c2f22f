"""Watches versions on trial: counts what they do, compares their answers with ``stable``'s, and sends them back."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging import getLogger

from contract.image import DecodeLimits
from service.errors import ServiceError
from service.inference import Computed
from service.registry.registry import Registry
from service.registry.routing import STABLE
from service.registry.routing_control import RoutingControl
from service.registry.traffic import ModelTraffic, RolledBack
from service.registry.version import LoadedVersion, Resolved
from service.rollout.comparison import Comparison
from service.rollout.copies import Copies, Copy, Outcome
from service.rollout.rules import Breach, breach
from service.rollout.window import Counts, Window
from service.telemetry import Telemetry

_log = getLogger("vitrail.rollout")

SHADOW = "shadow"
_WINDOW_S = 60.0

Pair = tuple[int, int]
"""Numbers of the version that is held against, and of the one on trial."""


@dataclass(slots=True)
class _Watched:
    """What was seen of one model since its traffic was set as it is; comparisons outlive that."""

    traffic: ModelTraffic
    windows: dict[str, Window] = field(default_factory=dict)
    comparisons: dict[Pair, Comparison] = field(default_factory=dict)


class Rollout:
    """The observer of divided traffic; see `service.inference.Observer`."""

    def __init__(
        self,
        registry: Registry,
        control: RoutingControl,
        telemetry: Telemetry,
        places_free: Callable[[LoadedVersion], bool],
        limits: DecodeLimits,
        *,
        max_copies: int,
        keep_images: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._control = control
        self._telemetry = telemetry
        self._keep_images = keep_images
        self._clock = clock
        self._watched: dict[str, _Watched] = {}
        self._copies = Copies(places_free, self._compared, limits, max_copies)

    def answered(self, computed: Computed) -> None:
        """Count an answer, and have its request copied if there is a version to compare with."""
        version, alias = computed.resolved.version, computed.resolved.alias or STABLE
        model = version.card.name
        traffic = self._registry.traffic(model)
        if not (traffic.weights or traffic.shadow):
            return
        self._window(model, traffic, alias).answered(computed.engine_s)
        copy = self._copy(computed, model, traffic, alias)
        if copy is None or random.random() * 100 >= traffic.sample:  # noqa: S311  a share of traffic
            return
        if not self._copies.offer(copy):
            self._count(copy, "dropped")

    def failed(self, resolved: Resolved, error: ServiceError) -> None:
        """Count a request that a version could not answer."""
        model, alias = resolved.version.card.name, resolved.alias or STABLE
        if not self._registry.traffic(model).weights:
            return
        _log.warning("%s:%d (%s) failed: %s", model, resolved.version.card.version, alias, error)
        self._telemetry.faults.labels(model, str(resolved.version.card.version)).inc()
        self._window(model, self._registry.traffic(model), alias).failed()

    def counts(self, model: str) -> dict[str, Counts]:
        """What each alias, and the shadow, did within the window."""
        watched = self._watched.get(model)
        return {alias: window.counts() for alias, window in watched.windows.items()} if watched else {}

    def comparisons(self, model: str) -> dict[Pair, Comparison]:
        """How versions of a model differed."""
        watched = self._watched.get(model)
        return dict(watched.comparisons) if watched else {}

    async def check(self) -> None:
        """Send back every alias that breaks a rule of its model."""
        for model, watched in list(self._watched.items()):
            traffic = self._registry.traffic(model)
            if traffic.rollback is None or traffic != watched.traffic:
                continue
            counts = self.counts(model)
            for alias, weight in traffic.weights.items():
                if alias == STABLE or not weight or alias not in counts:
                    continue
                found = breach(traffic.rollback, counts[alias], counts.get(STABLE, Counts()))
                if found is not None:
                    await self._roll_back(model, traffic, alias, found)
                    break

    async def close(self) -> None:
        """Drop the copies that wait."""
        await self._copies.close()

    def _window(self, model: str, traffic: ModelTraffic, alias: str) -> Window:
        watched = self._watched.get(model)
        if watched is None:
            watched = self._watched[model] = _Watched(traffic)
        elif watched.traffic is not traffic and watched.traffic != traffic:
            watched.traffic, watched.windows = traffic, {}
        if (window := watched.windows.get(alias)) is None:
            length_s = traffic.rollback.window_s if traffic.rollback else _WINDOW_S
            window = watched.windows[alias] = Window(length_s, self._clock)
        return window

    def _copy(self, computed: Computed, model: str, traffic: ModelTraffic, alias: str) -> Copy | None:
        own = computed.resolved.version
        if alias != STABLE:
            stable = self._registry.aliased(model)
            return Copy(computed, stable, own) if stable is not None and stable is not own else None
        if traffic.shadow is None:
            return None
        shadow = self._registry.version(model, traffic.shadow)
        if shadow is None or shadow.loaded is None or shadow.loaded is own:
            return None
        return Copy(computed, shadow.loaded, shadow.loaded)

    def _compared(self, outcome: Outcome) -> None:
        copy, model = outcome.copy, outcome.copy.other.card.name
        shadowed = copy.candidate is copy.other
        alias = SHADOW if shadowed else copy.computed.resolved.alias or STABLE
        window = self._window(model, self._registry.traffic(model), alias)
        if outcome.fault is not None and not self._is_loaded(copy.other):
            # It was unloaded while the copy waited, which is no fault of its.
            self._count(copy, "dropped")
            return
        if outcome.fault is not None:
            self._count(copy, "failed")
            if shadowed:
                window.failed()
            return
        self._count(copy, "compared")
        if shadowed:
            window.answered(outcome.other_s)
        own, other = copy.computed.resolved.version.card.version, copy.other.card.version
        pair = (own, other) if shadowed else (other, own)
        comparison = self._watched[model].comparisons.setdefault(pair, Comparison())
        comparison.add_latencies(*outcome.ratio)
        labels = (model, str(copy.candidate.card.version))
        query = copy.computed.query
        for index, found in enumerate(outcome.differences):
            window.compared(found.share)
            image = query.images[index]
            # A video's frames come decoded, which is far too much to keep.
            kept = image if self._keep_images and isinstance(image, bytes) else None
            comparison.add(found, query.request_id, index, kept)
            self._telemetry.disagreement.labels(*labels).observe(found.share)
            for name, value in found.figures.items():
                self._telemetry.disagreement_figures.labels(*labels, name).observe(value)

    def _is_loaded(self, version: LoadedVersion) -> bool:
        known = self._registry.version(version.card.name, version.card.version)
        return known is not None and known.loaded is version

    def _count(self, copy: Copy, outcome: str) -> None:
        card = copy.candidate.card
        self._telemetry.copies.labels(card.name, str(card.version), outcome).inc()

    async def _roll_back(self, model: str, traffic: ModelTraffic, alias: str, found: Breach) -> None:
        version = traffic.aliases[alias]
        left = {name: weight for name, weight in traffic.weights.items() if name != alias}
        record = RolledBack(
            alias=alias,
            version=version,
            weights=traffic.weights,
            rule=found.rule,
            reason=found.reason,
            at=datetime.now(UTC).replace(microsecond=0),
        )
        changes = {"weights": left if any(left[name] for name in left if name != STABLE) else {}, "rolled_back": record}
        _log.error("%s@%s (version %d) is rolled back: %s", model, alias, version, found.reason)
        self._telemetry.rollbacks.labels(model, alias, found.rule).inc()
        await self._control.overrule(model, traffic, traffic.model_copy(update=changes))


def figures_of(counts: Counts) -> dict[str, float | int | None]:
    """Counts for people to read."""
    as_ms: Sequence[float | None] = [None if s is None else round(s * 1e3, 3) for s in (counts.p50_s, counts.p99_s)]
    return {
        "requests": counts.requests,
        "faults": counts.faults,
        "p50_ms": as_ms[0],
        "p99_ms": as_ms[1],
        "compared": counts.compared,
        "disagreement": counts.disagreement,
    }
