"""``ModelStatistics``: what the service's metrics know of its versions, in the words of Triton's statistics."""

from collections.abc import Iterable, Mapping
from typing import Any

from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from service.registry.repository_watch import Key
from service.registry.version import Version
from service.telemetry import Telemetry

_COUNT, _SUM, _IMAGES, _BATCHES = (
    "vitrail_stage_seconds_count",
    "vitrail_stage_seconds_sum",
    "vitrail_images_total",
    "vitrail_batch_size_count",
)
_STAGES: dict[str, tuple[str, ...]] = {
    "success": ("fetch", "decode", "preprocess", "queue", "compute", "postprocess", "encode"),
    "queue": ("queue",),
    "compute_input": ("decode", "preprocess"),
    "compute_infer": ("compute",),
    "compute_output": ("postprocess", "encode"),
}
"""Triton's durations, and the stages of ours that they are made of."""

Figures = Mapping[tuple[str, str], float]
"""Values by the metric's name and the stage, which is empty where a metric has none."""


def statistics_of(telemetry: Telemetry, versions: Iterable[Version]) -> Any:
    """The ModelStatisticsResponse of these versions, over all transports; what nobody counts stays 0.

    ``inference_count`` counts images, ``execution_count`` the embedded engine's batches (also those by which a version
    was tried before it took traffic), and every duration the requests that were answered. Refusals are not counted by
    version, so ``fail`` says nothing.
    """
    figures = _figures(telemetry)
    response = service_pb2.ModelStatisticsResponse()
    for version in versions:
        known = figures.get(version.key, {})
        statistics = response.model_stats.add(
            name=version.model,
            version=str(version.number),
            inference_count=int(known.get((_IMAGES, ""), 0)),
            execution_count=int(known.get((_BATCHES, ""), 0)),
        )
        for duration, stages in _STAGES.items():
            part = getattr(statistics.inference_stats, duration)
            part.count = int(known.get((_COUNT, "compute"), 0))
            part.ns = int(sum(known.get((_SUM, stage), 0) for stage in stages) * 1e9)
    return response


def _figures(telemetry: Telemetry) -> dict[Key, Figures]:
    """The values of each version that has any."""
    figures: dict[Key, dict[tuple[str, str], float]] = {}
    for metric in telemetry.registry.restricted_registry([_COUNT, _SUM, _IMAGES, _BATCHES]).collect():
        for sample in metric.samples:
            labels = sample.labels
            of_version = figures.setdefault((labels["model"], int(labels["version"])), {})
            of_version[sample.name, labels.get("stage", "")] = sample.value
    return dict(figures)
