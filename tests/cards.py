"""Model cards for tests: complete, valid, and small."""

from datetime import UTC, datetime
from typing import Any

from contract.card import (
    Certificate,
    CertificateCheck,
    Figures,
    Measurement,
    ModelCard,
    Plan,
    Provenance,
    Tuning,
)
from contract.preprocess import Interpolation, PreprocessSpec, Resize
from contract.task import Task
from contract.tensors import DType, TensorSpec

A_TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_spec(**changes: Any) -> PreprocessSpec:
    """A specification that stretches to 32 x 32 pixels, with ``changes``."""
    fields = {"height": 32, "width": 32, "resize": Resize.STRETCH, "interpolation": Interpolation.BICUBIC}
    return PreprocessSpec(**{**fields, **changes})


def a_tensor(name: str, *shape: int, dtype: DType = DType.FLOAT32) -> TensorSpec:
    """A tensor of that name and shape (without the batch axis)."""
    return TensorSpec(name=name, dtype=dtype, shape=shape)


def outputs_of(task: Task) -> tuple[TensorSpec, ...]:
    """The output tensors of a small model of that task."""
    boxes = (a_tensor("boxes", 5, 4), a_tensor("scores", 5), a_tensor("labels", 5, dtype=DType.INT32))
    return {
        Task.CLASSIFY: (a_tensor("probabilities", 3),),
        Task.DETECT: boxes,
        Task.SEGMENT: (*boxes, a_tensor("masks", 5, 8, 8)),
        Task.EMBED: (a_tensor("embedding", 4),),
        Task.REGIONS: (a_tensor("probability", 32, 32),),
        Task.DEPTH: (a_tensor("depth", 32, 32),),
        Task.MATTE: (a_tensor("alpha", 32, 32),),
        Task.KEYPOINTS: (a_tensor("keypoints", 5, 3, 3), a_tensor("scores", 5)),
        Task.RESTORE: (a_tensor("restored", 64, 64, 3, dtype=DType.UINT8),),
        Task.CLASSIFY_VIDEO: (a_tensor("probabilities", 3),),
    }[task]


def a_certificate(batch_sizes: tuple[int, ...] = (1, 2, 4), **changes: Any) -> Certificate:
    """A passed certificate over ``batch_sizes``, with ``changes``."""
    checks = tuple(
        CertificateCheck(batch_size=size, inputs="images", max_relative_error=1e-6, agreement=1, passed=True)
        for size in batch_sizes
    )
    fields = {
        "passed": True,
        "tolerance": 1e-3,
        "trace_batch_size": 3,
        "checks": checks,
        "reference": "torch 2.13.0",
        "engine": "onnxruntime 1.31.1 CPUExecutionProvider",
        "verified_at": A_TIME,
    }
    return Certificate(**{**fields, **changes})


def a_tuning(**changes: Any) -> Tuning:
    """What was measured of the model of `a_card`, with ``changes``."""
    measurement = Measurement(
        batch_size=2, callers=1, threads=1, latency_p50_ms=3, latency_p99_ms=4, images_per_second=600
    )
    fields = {
        "machine": "2 cores of a processor",
        "measurements": (measurement,),
        "preferred_batch_sizes": (2,),
        "tuned_at": A_TIME,
    }
    return Tuning(**{**fields, **changes})


def a_plan(**changes: Any) -> Plan:
    """A plan that was built without a GPU, with ``changes``."""
    fields = {
        "engine": "tensorrt-rtx",
        "file": "model.rtx.plan",
        "tensorrt_version": "1.7.1",
        "precision": "fp32",
        "layer_precisions": {"FP32": 12},
        "notes": ("uncertified: there was no GPU",),
    }
    return Plan(**{**fields, **changes})


def a_provenance(**changes: Any) -> Provenance:
    """Where the model of `a_card` comes from, with ``changes``."""
    fields = {
        "source": "tests",
        "weights": "random",
        "trained": False,
        "licence": "Apache-2.0",
        "built_at": A_TIME,
        "tools": {"torch": "2.13.0"},
    }
    return Provenance(**{**fields, **changes})


def a_card(**changes: Any) -> ModelCard:
    """The card of a classifier of three animals, with ``changes``.

    Input, outputs and certificate follow from the ``preprocess``, ``task`` and ``batch_sizes`` asked for, unless they
    are given too.
    """
    task = changes.get("task", Task.CLASSIFY)
    spec = changes.get("preprocess", a_spec(frames=4 if task is Task.CLASSIFY_VIDEO else None))
    batch_sizes = changes.get("batch_sizes", (1, 2, 4))
    fields = {
        "name": "tiny",
        "version": 1,
        "task": task,
        "input": a_tensor("images", *spec.input_shape, dtype=DType.UINT8),
        "outputs": outputs_of(task),
        "preprocess": spec,
        "labels": ("cat", "dog", "bird"),
        "batch_sizes": batch_sizes,
        "provenance": a_provenance(),
        "figures": Figures(parameters=10),
        "certificate": a_certificate(batch_sizes),
    }
    return ModelCard(**{**fields, **changes})
