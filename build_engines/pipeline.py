"""The steps, in order: from a catalogue entry to a certified version in the repository."""

import time
from typing import Protocol

from build_engines import emit, export, graft, samples, verify
from build_engines.artifact import Artifact, Order, Step
from build_engines.heads import cam
from build_engines.optimize.graph import simplify
from build_engines.sources import onnx, timm


class Observer(Protocol):
    """Whoever wants to know how a build goes on."""

    def started(self, step: str) -> None:
        """A step begins."""

    def finished(self, step: str, seconds: float) -> None:
        """A step has ended well."""


def steps(order: Order) -> list[Step]:
    """The steps that this order needs."""
    finished_graph = order.entry.source.kind == "onnx"
    return [
        emit.RESERVE,
        onnx.STEP if finished_graph else timm.STEP,
        *([cam.STEP] if order.entry.head else []),
        graft.STEP if finished_graph else export.STEP,
        simplify.STEP,
        samples.STEP,
        verify.STEP,
        emit.step(verify.replay),
    ]


def build(order: Order, observer: Observer) -> Artifact:
    """Carry out all steps; StepFailed names the one that could not, and then no version is left behind."""
    artifact = Artifact(order)
    for step in steps(order):
        observer.started(step.name)
        start = time.perf_counter()
        artifact = step(artifact)
        observer.finished(step.name, time.perf_counter() - start)
    return artifact
