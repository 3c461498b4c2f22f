"""Does a plan answer as its ONNX file does, at every offered batch size and in every slot?

Engines that are silently wrong are a known trouble (NVIDIA/TensorRT #4853: wrong at batch 2, exact at batch 1; #4813:
it varies with the profile and the slot). So the reference answers image by image and the plan batch by batch.
"""

from datetime import UTC, datetime
from typing import Literal, Protocol

import numpy as np

from build_engines.agreement import UNUSABLE, agreement, paired, relative_error
from build_engines.artifact import BuildFailure, Tensors
from build_engines.compile.builder import Precision
from contract.card import Certificate, CertificateCheck
from contract.preprocess import Pixels
from contract.task import Task

TOLERANCES: dict[Precision, float] = {"fp32": 1e-3, "fp16": 2e-2, "bf16": 8e-2}
"""Relative error allowed: fp16 has 11 bits of mantissa, bf16 has 8, and errors grow through the layers."""

_LEAST_AGREEMENT: dict[Precision, float] = {"fp32": 1.0, "fp16": 0.9, "bf16": 0.8}
"""Share of the slots with the same answer; in low precision a near-tie may fall to the other side."""
_NOISE_SEED = 11


class Runner(Protocol):
    """Anything that answers pixels with the task's tensors; a GPU, ONNX Runtime, or a double."""

    name: str

    def run(self, images: Pixels) -> Tensors:
        """Pixels uint8 [B,H,W,3] → output tensors by name."""


def certify(
    reference: Runner, plan: Runner, task: Task, samples: Pixels, batch_sizes: tuple[int, ...], precision: Precision
) -> Certificate:
    """The certificate over pictures uint8 [K,H,W,3] and noise in every size; BuildFailure where a check fails.

    Over the sizes every slot sees several images, and in a batch of noise no two slots have the same one.
    """
    shape = (max(len(samples), *batch_sizes), *samples.shape[1:])
    drawn = np.random.default_rng(_NOISE_SEED).integers(0, 256, shape, np.uint8)
    kinds: tuple[tuple[Literal["images", "noise"], Pixels], ...] = (("images", samples), ("noise", drawn))
    checks = tuple(
        check
        for kind, images in kinds
        for check in _checks(reference, plan, task, kind, images, batch_sizes, precision)
    )
    if failed := [check for check in checks if not check.passed]:
        first = failed[0]
        raise BuildFailure(
            f"the plan differs from its ONNX file in {len(failed)} of {len(checks)} checks, first at batch size "
            f"{first.batch_size} on {first.inputs}: off by {first.max_relative_error:.2g}, agreement "
            f"{first.agreement:.0%}",
            "build it in fp32, or with another version of the engine; ONNX Runtime serves meanwhile",
        )
    return Certificate(
        passed=True,
        tolerance=TOLERANCES[precision],
        trace_batch_size=max(batch_sizes),
        checks=checks,
        reference=reference.name,
        engine=plan.name,
        verified_at=datetime.now(UTC),
    )


def _checks(
    reference: Runner,
    plan: Runner,
    task: Task,
    kind: Literal["images", "noise"],
    images: Pixels,
    batch_sizes: tuple[int, ...],
    precision: Precision,
) -> list[CertificateCheck]:
    single = [reference.run(images[slot : slot + 1]) for slot in range(len(images))]
    answers = {name: np.concatenate([answer[name] for answer in single]) for name in single[0]}
    return [_check(answers, plan, task, kind, images, size, precision) for size in batch_sizes]


def _check(
    answers: Tensors,
    plan: Runner,
    task: Task,
    kind: Literal["images", "noise"],
    images: Pixels,
    size: int,
    precision: Precision,
) -> CertificateCheck:
    chosen = (np.arange(size) + size) % len(images)
    expected = {name: values[chosen] for name, values in answers.items()}
    answered = in_types_of(expected, plan.run(images[chosen]))
    complete = expected.keys() <= answered.keys()
    answered = paired(expected, answered) if complete else answered
    error, tolerance = relative_error(expected, answered), TOLERANCES[precision]
    same = agreement(task, expected, answered, tolerance) if error < UNUSABLE else 0.0
    passed = error <= tolerance and same >= _LEAST_AGREEMENT[precision]
    return CertificateCheck(batch_size=size, inputs=kind, max_relative_error=error, agreement=same, passed=passed)


def in_types_of(expected: Tensors, answered: Tensors) -> Tensors:
    """The answer in the contract's types, where the engine has a wider integer for a narrow one."""
    return {
        name: values.astype(expected[name].dtype)
        if name in expected and values.dtype.kind in "iu" and expected[name].dtype.kind in "iu"
        else values
        for name, values in answered.items()
    }
