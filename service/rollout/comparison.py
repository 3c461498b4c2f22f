"""How one version differs from another: sums of figures, and the worst cases for people to look at."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from service.rollout.disagreement import Disagreement

KEPT = 10
_order = count()


@dataclass(frozen=True, slots=True)
class Case:
    """One image on which two versions disagreed."""

    request_id: str
    index: int
    """Of the image in its request."""
    share: float
    figures: Mapping[str, float]
    at: datetime
    image: bytes | None
    """The encoded image, where the settings allow that it is kept."""


@dataclass(slots=True)
class Comparison:
    """All comparisons of one version with another, since traffic was set as it is."""

    images: int = 0
    share: float = 0.0
    """Sum of the shares of the answers that differ."""
    figures: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Each figure's sum, and of how many images."""
    latency_ratios: tuple[float, int] = (0.0, 0)
    """Sum of candidate's time divided by the reference's, computation only, and of how many requests."""
    _worst: list[tuple[float, int, Case]] = field(default_factory=list)

    def add(self, found: Disagreement, request_id: str, index: int, image: bytes | None) -> None:
        """Count one image, and keep it if it is among the worst."""
        self.images += 1
        self.share += found.share
        for name, value in found.figures.items():
            total, images = self.figures.get(name, (0.0, 0))
            self.figures[name] = total + value, images + 1
        if found.share == 0 or (len(self._worst) == KEPT and found.share <= self._worst[0][0]):
            return
        case = Case(request_id, index, found.share, found.figures, datetime.now(UTC), image)
        heapq.heappush(self._worst, (found.share, next(_order), case))
        if len(self._worst) > KEPT:
            heapq.heappop(self._worst)

    def add_latencies(self, reference_s: float, candidate_s: float) -> None:
        """Count one request's times."""
        if reference_s > 0:
            total, requests = self.latency_ratios
            self.latency_ratios = total + candidate_s / reference_s, requests + 1

    @property
    def worst(self) -> list[Case]:
        """The cases that differ most, the worst first."""
        return [case for _, _, case in sorted(self._worst, reverse=True)]

    def means(self) -> dict[str, float]:
        """The mean of each figure over the images of which it is known."""
        return {name: total / images for name, (total, images) in self.figures.items()}
