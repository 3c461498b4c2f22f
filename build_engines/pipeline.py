"""The steps, in order: from a catalogue entry to a certified version in the repository."""

import importlib
import time
from collections.abc import Iterable
from typing import Protocol

from torch import nn

from build_engines import emit, export, figures, graft, samples, verify
from build_engines.artifact import Artifact, BuildFailure, Exporter, Order, Step, StepFailed, known
from build_engines.cache import Cache
from build_engines.catalog.entry import Entry
from build_engines.graph_network import GraphNetwork
from build_engines.optimize.graph import simplify
from contract.preprocess import Pixels

_EXPORTERS: tuple[Exporter, Exporter] = ("torch.export", "tracer")
_PROOF = (simplify.STEP, verify.STEP)


class Observer(Protocol):
    """Whoever wants to know how a build goes on."""

    def started(self, step: str) -> None:
        """A step begins."""

    def advanced(self, phase: str, done: int, of: int) -> None:
        """The running step, one of the long ones, is so far."""

    def finished(self, step: str, seconds: float) -> None:
        """A step has ended well."""


def steps(order: Order) -> list[Step]:
    """The steps that this order needs, if its preferred way to ONNX is certified."""
    return [emit.RESERVE, *_preparation(order), _ways(order)[0], *_PROOF, *_conclusion(order)]


def build(order: Order, observer: Observer, cache: Cache | None = None) -> Artifact:
    """Carry out all steps; StepFailed names the one that could not, and then no version is left behind."""
    artifact = _run([emit.RESERVE], Artifact(order), observer)
    certified = cache.fetch(artifact) if cache else None
    if certified is None:
        certified = _certified(artifact, observer)
        if cache:
            cache.store(certified)
    return _run(_conclusion(order, observer), certified, observer)


def _certified(artifact: Artifact, observer: Observer) -> Artifact:
    """The source, compiled and proven equal to it."""
    source, *others = _preparation(artifact.order)
    artifact = _run([source], artifact, observer)
    network = artifact.network
    try:
        return _compiled(_run(others, artifact, observer), observer)
    finally:
        if not isinstance(network, nn.Module | GraphNetwork | None):
            network.close()


def _preparation(order: Order) -> list[Step]:
    """Source, what is done to it, what it weighs, and pictures to try it with."""
    entry = order.entry
    heads = _heads(entry)
    source = _step(f"sources.{entry.source.kind}")
    rewritten = [_step("optimize.model.reparameterise")] if entry.source.kind == "timm" and not heads else []
    # The figures are those of the network that was published.
    explained = [_step("explain.step")] if order.explain and entry.source.kind != "external" else []
    return [source, *rewritten, *heads, figures.STEP, *explained, samples.STEP]


def _heads(entry: Entry) -> list[Step]:
    if entry.head is None or entry.source.kind == "external":
        return []  # Own code is joined with its head in the process that it lives in.
    return [_step("heads.cam" if entry.head.kind == "cam" else "heads.pyramid")]


def _conclusion(order: Order, observer: Observer | None = None) -> list[Step]:
    """What follows the certificate: a plan beside the model where one is asked for, and the version itself."""
    writing = emit.step(verify.replay)
    if order.engine == "onnxruntime":
        return [writing]
    from build_engines import compile as compiling  # noqa: PLC0415  brings TensorRT

    def told(phase: str, done: int, of: int) -> bool:
        if observer:
            observer.advanced(phase, done, of)
        return True

    return [compiling.step(verify.EngineRunner, told), writing]


def _ways(order: Order) -> list[Step]:
    """The ways to ONNX, the preferred one first."""
    if order.entry.source.kind == "onnx":
        return [graft.STEP]
    return [export.by(exporter) for exporter in sorted(_EXPORTERS, key=lambda name: name != order.entry.exporter)]


def _compiled(artifact: Artifact, observer: Observer) -> Artifact:
    """Go the first way whose outcome is certified; if there is none, say where the outcome differs."""
    refusals: list[StepFailed] = []
    for way in _ways(artifact.order):
        exported = None
        try:
            exported = _run([way], artifact, observer)
            certified = _run(_PROOF, exported, observer)
        except StepFailed as failure:
            refusals.append(_diagnosed(failure, exported))
        else:
            notes = tuple(f"Compiled by the {certified.exporter}, because {refusal.reason}" for refusal in refusals)
            return certified.having(notes=certified.notes + notes)
    # The way that came further tells more.
    worst = max(refusals, key=lambda failure: ("export", "simplify", "verify").index(failure.step))
    others = "; ".join(refusal.reason for refusal in refusals if refusal is not worst)
    reason = f"{worst.reason}; the other way: {others}" if others else worst.reason
    raise StepFailed(worst.step, reason, worst.remedy) from worst


def _diagnosed(failure: StepFailed, exported: Artifact | None) -> StepFailed:
    """The failure, with the place where the two graphs part where verification found that they do."""
    cause = failure.__cause__
    if exported is None or not isinstance(cause, verify.VerificationFailed):
        return failure
    reason = failure.reason if exported.exporter is None else f"by the {exported.exporter}: {failure.reason}"
    if cause.images is not None and isinstance(exported.network, nn.Module):
        try:
            reason = f"{reason}. {_diagnosis(exported, exported.network, cause.images)}"
        except BuildFailure as other:
            reason = f"{reason}. No diagnosis: {other.reason}"
    told = StepFailed(failure.step, reason, failure.remedy)
    told.__cause__ = cause
    return told


def _step(module: str) -> Step:
    """The step of a module that is imported only now: each source brings a library that takes seconds to load."""
    step: Step = importlib.import_module(f"build_engines.{module}").STEP
    return step


def _diagnosis(exported: Artifact, network: nn.Module, images: Pixels) -> str:
    from build_engines.diagnosis import diagnose  # noqa: PLC0415  needed only where something is wrong

    compiled = export.compiled(exported, network)
    model, normalisation = known(exported.model), known(exported.normalisation)
    return str(diagnose(network, compiled, model, images, len(images), normalisation))


def _run(steps: Iterable[Step], artifact: Artifact, observer: Observer) -> Artifact:
    for step in steps:
        observer.started(step.name)
        start = time.perf_counter()
        artifact = step(artifact)
        observer.finished(step.name, time.perf_counter() - start)
    return artifact
