"""How metrics are declared: each once, in the service's registry, and remembered for the table in the documents."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

Together = Literal["livesum", "livemax", "livemostrecent"]
"""What a gauge of several processes is; of those that have ended nothing is left."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A metric, for people."""

    name: str
    """As Prometheus stores it; a histogram and a summary have several series of that beginning."""
    kind: str
    labels: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """Makes metrics in a registry."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    metrics: list[Declared] = field(default_factory=list)

    def counter(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only rises; its name ends in ``_total`` where it is read."""
        self._note(f"{name}_total", "counter", labels, meaning)
        return Counter(name, meaning, labels, registry=self.registry)

    def gauge(
        self, name: str, meaning: str, labels: Sequence[str] = (), *, together: Together = "livemostrecent"
    ) -> Gauge:
        """A number that rises and falls."""
        self._note(name, "gauge", labels, meaning)
        return Gauge(name, meaning, labels, registry=self.registry, multiprocess_mode=together)

    def histogram(self, name: str, meaning: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> Histogram:
        """How often a value was in each bucket."""
        self._note(name, "histogram", labels, meaning)
        return Histogram(name, meaning, labels, buckets=buckets, registry=self.registry)

    def summary(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Summary:
        """The sum of values, and how many there were."""
        self._note(name, "summary", labels, meaning)
        return Summary(name, meaning, labels, registry=self.registry)

    def _note(self, name: str, kind: str, labels: Sequence[str], meaning: str) -> None:
        self.metrics.append(Declared(name, kind, tuple(labels), meaning))
