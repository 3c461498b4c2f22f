"""The versions that had traffic within a window of time, or could have some now."""

from collections import Counter
from typing import Final

import numpy as np

from service.telemetry.history.answer import BatchSizes, VersionTotals
from service.telemetry.history.gauges import Gauges
from service.telemetry.history.names import Name, Numbers, is_fault, version_of
from service.telemetry.history.traffic import IMAGES
from service.telemetry.history.view import capped_percentiles, with_gaps
from service.telemetry.history.window import Answers, Asked, Kinds, Window

MOST_SHOWN: Final = 32
"""Versions in an answer, those with most requests."""
_SIZES: Final = 1 << 20
"""Batches are smaller."""


def version_totals(
    window: Window, kinds: Kinds, answers: Answers, versions: Numbers, gauges: Gauges, asked: Asked
) -> list[VersionTotals]:
    """Figures of each version, the one with most requests first.

    Args:
        window: the window.
        kinds: its requests that are wanted.
        answers: its answered requests that are wanted.
        versions: what the numbers of versions stand for.
        gauges: how the service stands.
        asked: what one asks for.
    """
    requests, errors, of_model = _requests(kinds)
    ready = {(one.task, one.model, one.version): one for one in gauges.versions}
    rows = {name: row for row, name in enumerate(answers.names)}
    times = capped_percentiles(answers.version_latency, answers.version_sums) * 1e3
    batches = _batches(window, versions)
    names = sorted({*requests, *filter(asked.includes, ready)}, key=lambda name: (-requests[name], name))
    shown: list[VersionTotals] = []
    for name in [name for name in names if name[1]][:MOST_SHOWN]:
        task, model, version = name
        row = rows.get(name)
        p50, p95, p99 = (None, None, None) if row is None else with_gaps(times[row])
        shown.append(
            {
                "task": task,
                "model": model,
                "version": version,
                "aliases": [*ready[name].aliases] if name in ready else [],
                "share": requests[name] / max(1, of_model[model]),
                "requests": requests[name],
                "images": 0 if row is None else int(answers.version_sums[row, IMAGES]),
                "errors": errors[name],
                "p50_ms": p50,
                "p95_ms": p95,
                "p99_ms": p99,
                "batch": batches.get((model, version), {"mean": None, "sizes": {}}),
                "queue_depth": gauges.queue_depths.get((model, version), 0),
                "ready": name in ready,
            }
        )
    return shown


def _requests(kinds: Kinds) -> tuple[Counter[Name], Counter[Name], Counter[str]]:
    """Requests and errors by version, and requests by model."""
    requests: Counter[Name] = Counter()
    errors: Counter[Name] = Counter()
    of_model: Counter[str] = Counter()
    for kind, count in kinds.totals():
        version = version_of(kind)
        requests[version] += count
        errors[version] += count if is_fault(kind) else 0
        of_model[version[1]] += count
    return requests, errors, of_model


def _batches(window: Window, versions: Numbers) -> dict[tuple[str, str], BatchSizes]:
    """By model and version."""
    if not window.few:
        return {}
    rows = np.concatenate([part.batches for part in window.few]).astype(np.int64)
    # A version and a size as one number.
    places, inverse = np.unique(rows[:, 0] * _SIZES + rows[:, 1], return_inverse=True)
    counts = np.bincount(inverse, rows[:, 2], len(places)).tolist()
    sizes: dict[tuple[str, str], dict[int, int]] = {}
    for place, count in zip(places.tolist(), counts, strict=True):
        number, size = divmod(place, _SIZES)
        _, model, version = versions[number]
        sizes.setdefault((model, version), {})[size] = int(count)
    return {version: _described(found) for version, found in sizes.items()}


def _described(sizes: dict[int, int]) -> BatchSizes:
    images = sum(size * count for size, count in sizes.items())
    return {
        "mean": round(images / sum(sizes.values()), 3),
        "sizes": {str(size): sizes[size] for size in sorted(sizes)},
    }
