"""Two runners, the same inputs: does the compiled model compute what its source computes?

The source runs image by image, with a normalisation and a task output of its own (NumPy, written from the entry and
not from the graph), so that a batch that was frozen, mixed slots, or a normalisation done twice cannot hide: both
sides share nothing but the network.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors
from torch import nn

from build_engines.agreement import UNUSABLE, agreement, aligned, relative_error
from build_engines.artifact import GOLDEN_BATCH_SIZE, INPUT_NAME, Artifact, BuildFailure, Step, Tensors, known
from build_engines.catalog.entry import Normalisation
from contract.card import Certificate, CertificateCheck, ModelCard
from contract.preprocess import Floats, Pixels
from contract.task import Task

TOLERANCE = 1e-3
"""Relative error allowed in fp32."""

_LEAST_UNTRACED = 2
_REPEATABILITY = 1e-5
_NOISE_SEED = 7
_ENGINE_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class VerificationFailed(BuildFailure):
    """The compiled model does not compute what its source computes."""


class Runner(Protocol):
    """Anything that answers pixels with the task's tensors."""

    name: str

    def run(self, images: Pixels) -> Tensors:
        """Pixels uint8 [B,H,W,3] → output tensors by name."""


class SourceRunner:
    """The network as its authors meant it, outside the compiled graph."""

    def __init__(
        self, network: nn.Module | onnx.ModelProto, normalisation: Normalisation, names: tuple[str, ...], task: Task
    ) -> None:
        self._normalisation = normalisation
        self._names = names
        self._task = task
        if isinstance(network, nn.Module):
            self._network, self._session = network, None
            self.name = f"torch {torch.__version__}"
        else:
            self._session = _session(network.SerializeToString())
            self.name = f"onnxruntime {onnxruntime.__version__}, the source's own graph"

    def run(self, images: Pixels) -> Tensors:
        """Each image alone, so that nothing of one can reach another's answer."""
        answers = [self._run_one(images[slot : slot + 1]) for slot in range(len(images))]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in self._names}

    def _run_one(self, image: Pixels) -> Tensors:
        pixels = normalise(image, self._normalisation)
        outputs = self._torch(pixels) if self._session is None else _run(self._session, pixels)
        if self._task is Task.CLASSIFY:
            outputs = [_softmax(outputs[0])]
        if self._task is Task.REGIONS:
            outputs = [outputs[0][:, 0]]
        return dict(zip(self._names, outputs, strict=True))

    def _torch(self, pixels: Floats) -> list[np.ndarray[Any, Any]]:
        with torch.inference_mode():
            outputs = self._network(torch.from_numpy(pixels))
        return [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]


class EngineRunner:
    """The compiled model in ONNX Runtime, from memory or from the file that will be served."""

    def __init__(self, model: bytes | Path) -> None:
        self._session = _session(model)
        self._names = [output.name for output in self._session.get_outputs()]
        self.name = f"onnxruntime {onnxruntime.__version__} {self._session.get_providers()[0]}"

    def run(self, images: Pixels) -> Tensors:
        """The whole batch at once."""
        return dict(zip(self._names, self._session.run(None, {INPUT_NAME: images}), strict=True))


def verify(artifact: Artifact) -> Artifact:
    """Compare engine and source at every batch size up to the entry's largest; sizes that fail are not offered.

    Raises:
        VerificationFailed: batch size 1 fails, fewer than two sizes pass besides the one that was traced, or the
            source itself answers with NaN, or the same image differently twice.
    """
    entry, samples = artifact.order.entry, known(artifact.samples)
    if artifact.network is None:
        raise TypeError("there is no source to compare with")
    source = SourceRunner(artifact.network, known(artifact.normalisation), artifact.output_names, entry.task)
    try:
        engine = EngineRunner(known(artifact.model).SerializeToString())
    except _ENGINE_ERRORS as error:
        raise VerificationFailed(f"onnxruntime cannot open the model: {error}", "report it with its name") from error
    _require_repeatable(source, samples[:1])
    noise = np.random.default_rng(_NOISE_SEED).integers(0, 256, samples.shape, np.uint8)
    checks: list[CertificateCheck] = []
    trouble: list[str] = []
    inputs: tuple[tuple[Literal["images", "noise"], Pixels], ...] = (("images", samples), ("noise", noise))
    for kind, images in inputs:
        for check, problem in _checks(kind, images, source, engine, entry.task, entry.max_batch_size):
            checks.append(check)
            trouble += [problem] if problem else []
    offered = _offered(checks, known(artifact.trace_batch_size), trouble)
    golden = engine.run(samples[:GOLDEN_BATCH_SIZE]) if GOLDEN_BATCH_SIZE in offered else engine.run(samples[:1])
    certificate = Certificate(
        passed=True,
        tolerance=TOLERANCE,
        trace_batch_size=known(artifact.trace_batch_size),
        checks=tuple(sorted(checks, key=lambda check: check.batch_size)),
        reference=source.name,
        engine=engine.name,
        verified_at=datetime.now(UTC),
    )
    refused = sorted({check.batch_size for check in checks} - set(offered))
    warning = (f"batch sizes {refused} are not offered: they did not pass ({'; '.join(trouble)})",) if refused else ()
    return artifact.having(
        certificate=certificate, batch_sizes=offered, golden=golden, warnings=artifact.warnings + warning
    )


STEP = Step(
    "verify",
    verify,
    requires=("network", "model", "output_names", "normalisation", "samples", "trace_batch_size"),
    ensures=("certificate", "batch_sizes", "golden"),
)


def replay(model: Path, card: ModelCard, images: Pixels, expected: Tensors) -> None:
    """Answer the golden images from the written file; VerificationFailed if it answers otherwise than before."""
    try:
        answered = EngineRunner(model).run(images)
    except _ENGINE_ERRORS as error:
        raise VerificationFailed(f"the written model does not run: {error}", "check the disk, then rebuild") from error
    if relative_error(expected, answered) > card.certificate.tolerance:
        raise VerificationFailed(
            "the written model answers its golden images otherwise", "check the disk, then rebuild"
        )


def normalise(images: Pixels, normalisation: Normalisation) -> Floats:
    """Pixels uint8 [B,H,W,3] in RGB → f32 [B,3,H,W], as torchvision's ToTensor and Normalize make them."""
    scaled = images.astype(np.float32) / 255
    ordered = scaled if normalisation.channels == "rgb" else scaled[..., ::-1]
    result = (ordered - np.asarray(normalisation.mean, np.float32)) / np.asarray(normalisation.std, np.float32)
    return np.ascontiguousarray(result.transpose(0, 3, 1, 2))


def _checks(
    kind: Literal["images", "noise"], images: Pixels, source: Runner, engine: Runner, task: Task, largest: int
) -> Iterator[tuple[CertificateCheck, str]]:
    """One check a batch size, and what went wrong in it; over the sizes every slot sees several images."""
    reference = aligned(source.run(images))
    for size in range(1, largest + 1):
        chosen = (np.arange(size) + size) % len(images)
        expected = {name: values[chosen] for name, values in reference.items()}
        error, same, problem = UNUSABLE, 0.0, ""
        try:
            answered = aligned(engine.run(images[chosen]))
        except _ENGINE_ERRORS as failure:
            problem = f"batch size {size}: {str(failure).strip().splitlines()[0]}"
        else:
            error = relative_error(expected, answered)
            same = agreement(task, expected, answered, TOLERANCE) if error < UNUSABLE else 0.0
        passed = error <= TOLERANCE and same == 1.0
        if not passed and not problem:
            problem = f"batch size {size}: relative error {error:.2g} on {kind}, agreement {same:.0%}"
        yield (
            CertificateCheck(batch_size=size, inputs=kind, max_relative_error=error, agreement=same, passed=passed),
            problem,
        )


def _offered(checks: list[CertificateCheck], traced: int, trouble: list[str]) -> tuple[int, ...]:
    failed = {check.batch_size for check in checks if not check.passed}
    offered = tuple(sorted({check.batch_size for check in checks} - failed))
    if 1 not in offered or len(set(offered) - {traced}) < _LEAST_UNTRACED:
        raise VerificationFailed(
            f"the engine differs from its source at batch sizes {sorted(failed)}: {'; '.join(trouble[:3])}",
            "a size frozen into the network's code (int(x.shape[0])) is the usual cause; it must be changed there",
        )
    return offered


def _require_repeatable(source: Runner, image: Pixels) -> None:
    if not all(np.isfinite(values).all() for values in source.run(image).values()):
        raise VerificationFailed(
            "the source itself answers with infinities or NaN", "check its weights, or choose a larger --resolution"
        )
    if relative_error(source.run(image), source.run(image)) > _REPEATABILITY:
        raise VerificationFailed(
            "the source answers the same image differently twice, so nothing can be compared with it",
            "make it deterministic in evaluation mode (dropout, random masks, sampling)",
        )


def _session(model: bytes | Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # Errors; warnings are about optimisations that it declined.
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run(session: Any, pixels: Floats) -> list[np.ndarray[Any, Any]]:
    return list(session.run(None, {session.get_inputs()[0].name: pixels}))


def _softmax(logits: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # Infinities make NaN here, and that is found later.
        shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)
