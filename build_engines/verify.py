"""Two runners, the same inputs: does the compiled model compute what its source computes?

The source runs image by image, with a normalisation and a task output of its own (NumPy, written from the entry and
not from the graph), so that a batch that was frozen, mixed slots, or a normalisation done twice cannot hide: both
sides share nothing but the network.
"""

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import onnxruntime
import torch
from torch import nn

from build_engines.agreement import UNUSABLE, agreement, errors, paired, relative_error, telling
from build_engines.artifact import GOLDEN_BATCH_SIZE, INPUT_NAME, Artifact, BuildFailure, Network, Step, Tensors, known
from build_engines.catalog.entry import Entry, Normalisation
from build_engines.graph_network import GraphNetwork
from build_engines.onnx_session import ENGINE_ERRORS, open_session, said
from contract.card import Certificate, CertificateCheck, ModelCard
from contract.preprocess import Floats, Pixels
from contract.task import Task

TOLERANCE = 1e-3
"""Relative error allowed in fp32."""

_LEAST_UNTRACED = 2
_REPEATABILITY = 1e-5
_NOISE_SEED = 7
_NOISE = 4
_LONGEST_REASON = 300
_CLASSIFIERS = {Task.CLASSIFY, Task.CLASSIFY_VIDEO}


class VerificationFailed(BuildFailure):
    """The compiled model does not compute what its source computes."""

    def __init__(self, reason: str, remedy: str, batch_size: int | None = None, images: Pixels | None = None) -> None:
        super().__init__(reason, remedy)
        self.batch_size = batch_size
        """The smallest batch size that failed, where one did."""
        self.images = images
        """The batch uint8 [B,H,W,3] that it failed with."""


class Runner(Protocol):
    """Anything that answers pixels with the task's tensors."""

    name: str

    def run(self, images: Pixels) -> Tensors:
        """Pixels uint8 [B,H,W,3] → output tensors by name."""


class SourceRunner:
    """The network as its authors meant it, outside the compiled graph."""

    def __init__(self, network: Network, normalisation: Normalisation, names: tuple[str, ...], entry: Entry) -> None:
        self._normalisation = normalisation
        self._names = names
        self._entry = entry
        # A graph's decoder gives probabilities itself, for some graphs end in a softmax.
        self._gives_logits = entry.task in _CLASSIFIERS and not isinstance(network, GraphNetwork)
        self._raw, self.name = _runner(network)

    def run(self, images: Pixels) -> Tensors:
        """Each image alone, so that nothing of one can reach another's answer."""
        answers = [self._run_one(images[slot : slot + 1]) for slot in range(len(images))]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in self._names}

    def _run_one(self, image: Pixels) -> Tensors:
        outputs = self._raw(normalise(image, self._normalisation))
        if self._gives_logits:
            logits, *rest = outputs
            outputs = [_sigmoid(logits) if self._entry.multi_label else _softmax(logits), *rest]
        return dict(zip(self._names, outputs, strict=True))


def _runner(network: Network) -> tuple[Callable[[Floats], list[np.ndarray[Any, Any]]], str]:
    """What runs the network on normalised pixels f32 [B,3,H,W], and its name."""
    if isinstance(network, nn.Module):
        return partial(_run_torch, network), f"torch {torch.__version__}"
    if isinstance(network, GraphNetwork):
        session = open_session(network.model.SerializeToString())
        name = f"onnxruntime {onnxruntime.__version__}, the source's own graph"
        return partial(_run_graph, session, network), name
    return network.run, network.framework


def _run_torch(network: nn.Module, pixels: Floats) -> list[np.ndarray[Any, Any]]:
    with torch.inference_mode():
        outputs = network(torch.from_numpy(pixels))
    return [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]


def _run_graph(session: Any, network: GraphNetwork, pixels: Floats) -> list[np.ndarray[Any, Any]]:
    raw = list(session.run(None, {session.get_inputs()[0].name: pixels}))
    if network.finish is None:
        return raw
    with torch.inference_mode():
        outputs = network.finish(*(torch.from_numpy(values) for values in raw))
    return [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]


class EngineRunner:
    """The compiled model in ONNX Runtime, from memory or from the file that will be served."""

    def __init__(self, model: bytes | Path) -> None:
        self._session = open_session(model, quiet=True, frugal=True)
        self._names = [output.name for output in self._session.get_outputs()]
        self.name = f"onnxruntime {onnxruntime.__version__} {self._session.get_providers()[0]}"

    def run(self, images: Pixels) -> Tensors:
        """The whole batch at once."""
        return dict(zip(self._names, self._session.run(None, {INPUT_NAME: images}), strict=True))


def verify(artifact: Artifact) -> Artifact:
    """Compare engine and source at every batch size up to the entry's largest; sizes that fail are not offered.

    Raises:
        VerificationFailed: batch size 1 fails, fewer than two sizes pass besides the one that was traced, or the
            source itself answers with NaN, the same image differently twice, or has parts that are still training.
    """
    entry, samples = artifact.order.entry, known(artifact.samples)
    if (network := artifact.reference or artifact.network) is None:
        raise TypeError("there is no source to compare with")
    _require_evaluation(network)
    source = SourceRunner(network, known(artifact.normalisation), artifact.output_names, entry)
    try:
        engine = EngineRunner(known(artifact.model).SerializeToString())
    except ENGINE_ERRORS as error:
        raise VerificationFailed(
            f"onnxruntime cannot open the model: {said(error)}", "report it with its name"
        ) from error
    answers = source.run(samples)
    _require_repeatable(answers, source.run(samples[:1]))
    images, noise = _plans(samples, entry.max_batch_size)
    outcomes = [
        *_compare(images, answers, engine, entry.task),
        *_compare(noise, source.run(noise.images), engine, entry.task),
    ]
    offered = _offered(outcomes, known(artifact.trace_batch_size))
    golden = engine.run(samples[:GOLDEN_BATCH_SIZE]) if GOLDEN_BATCH_SIZE in offered else engine.run(samples[:1])
    certificate = Certificate(
        passed=True,
        tolerance=TOLERANCE,
        trace_batch_size=known(artifact.trace_batch_size),
        checks=tuple(sorted((outcome.check for outcome in outcomes), key=lambda check: check.batch_size)),
        reference=source.name,
        engine=engine.name,
        verified_at=datetime.now(UTC),
    )
    return artifact.having(
        certificate=certificate,
        batch_sizes=offered,
        golden=golden,
        warnings=artifact.warnings + _remarks(outcomes, offered, answers),
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
    except ENGINE_ERRORS as error:
        raise VerificationFailed(
            f"the written model does not run: {said(error)}", "check the disk, then rebuild"
        ) from error
    if relative_error(expected, answered) > card.certificate.tolerance:
        raise VerificationFailed(
            "the written model answers its golden images otherwise", "check the disk, then rebuild"
        )


def normalise(images: Pixels, normalisation: Normalisation) -> Floats:
    """Pixels uint8 [B,H,W,3] in RGB → f32 [B,3,H,W], as torchvision's ToTensor and Normalize make them.

    Clips are [B,T,H,W,3] → [B,T,3,H,W]; a fourth channel stays as it is, in 0…1.
    """
    scaled = images.astype(np.float32) / 255
    colours, rest = scaled[..., :3], scaled[..., 3:]
    ordered = colours if normalisation.channels == "rgb" else colours[..., ::-1]
    result = (ordered - np.asarray(normalisation.mean, np.float32)) / np.asarray(normalisation.std, np.float32)
    return np.ascontiguousarray(np.moveaxis(np.concatenate([result, rest], axis=-1), -1, -3))


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which images to compare with, in which batch sizes."""

    kind: Literal["images", "noise"]
    images: Pixels
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One check, what went wrong in it, and what it was made with."""

    check: CertificateCheck
    problem: str
    batch: Pixels


def _plans(samples: Pixels, largest: int) -> tuple[_Plan, _Plan]:
    """Pictures in every batch size; noise in some, for it finds other faults of the numbers and not of the batch."""
    noise = np.random.default_rng(_NOISE_SEED).integers(0, 256, samples[:_NOISE].shape, np.uint8)
    sizes = tuple(range(1, largest + 1))
    return _Plan("images", samples, sizes), _Plan("noise", noise, tuple(sorted({1, 2, largest})))


def _compare(plan: _Plan, reference: Tensors, engine: Runner, task: Task) -> Iterator[_Outcome]:
    """One outcome a batch size, against the source's answers; over the sizes every slot sees several images."""
    for size in plan.sizes:
        chosen = (np.arange(size) + size) % len(plan.images)
        expected, batch = {name: values[chosen] for name, values in reference.items()}, plan.images[chosen]
        error, same, problem = UNUSABLE, 0.0, ""
        try:
            answered = paired(expected, engine.run(batch))
        except ENGINE_ERRORS as failure:
            problem = textwrap.shorten(said(failure), _LONGEST_REASON)
        else:
            by_output = errors(expected, answered)
            error = max(by_output.values())
            same = agreement(task, expected, answered, TOLERANCE) if error < UNUSABLE else 0.0
            worst = max(by_output, key=lambda name: by_output[name])
        passed = error <= TOLERANCE and same == 1.0
        if not passed and not problem:
            amount = "has another shape or is not numbers" if error >= UNUSABLE else f"is off by {error:.2g}"
            problem = f"{worst} {amount} on {plan.kind}, agreement {same:.0%}"
        yield _Outcome(
            CertificateCheck(
                batch_size=size, inputs=plan.kind, max_relative_error=error, agreement=same, passed=passed
            ),
            problem,
            batch,
        )


def _offered(outcomes: list[_Outcome], traced: int) -> tuple[int, ...]:
    failures = [outcome for outcome in outcomes if not outcome.check.passed]
    failed = {outcome.check.batch_size for outcome in failures}
    offered = tuple(sorted({outcome.check.batch_size for outcome in outcomes} - failed))
    if 1 not in offered or len(set(offered) - {traced}) < _LEAST_UNTRACED:
        first = min(failures, key=lambda outcome: outcome.check.batch_size)
        raise VerificationFailed(
            f"the engine differs from its source at batch sizes {sorted(failed)}: " + _problems(failures[:3]),
            "a size frozen into the network's code (int(x.shape[0])) is the usual cause; it must be changed there",
            first.check.batch_size,
            first.batch,
        )
    return offered


def _problems(failures: list[_Outcome]) -> str:
    """What went wrong, with the batch sizes at which it did."""
    sizes: dict[str, list[int]] = {}
    for outcome in failures:
        sizes.setdefault(outcome.problem, []).append(outcome.check.batch_size)
    return "; ".join(f"batch size {', '.join(map(str, those))}: {problem}" for problem, those in sizes.items())


def _remarks(outcomes: list[_Outcome], offered: tuple[int, ...], answers: Tensors) -> tuple[str, ...]:
    found = []
    if refused := sorted({outcome.check.batch_size for outcome in outcomes} - set(offered)):
        problems = _problems([outcome for outcome in outcomes if not outcome.check.passed])
        found.append(f"batch sizes {refused} are not offered: they did not pass ({problems})")
    if not telling(answers):
        found.append("the source answers every sample alike, so the certificate proves little: give --images")
    return tuple(found)


def _require_evaluation(network: Network) -> None:
    if not isinstance(network, nn.Module):
        return
    if training := [name or "the network itself" for name, module in network.named_modules() if module.training]:
        raise VerificationFailed(
            f"parts of the source are in training mode in spite of eval(): {', '.join(training[:3])}",
            "make its train() and eval() reach all modules",
        )


def _require_repeatable(answers: Tensors, again: Tensors) -> None:
    """The source's answers to all samples are numbers, and it gives the first of them once more."""
    if not all(np.isfinite(values).all() for values in answers.values()):
        raise VerificationFailed(
            "the source itself answers with infinities or NaN", "check its weights, or choose a larger --resolution"
        )
    if relative_error({name: values[:1] for name, values in answers.items()}, again) > _REPEATABILITY:
        raise VerificationFailed(
            "the source answers the same image differently twice, so nothing can be compared with it",
            "make it deterministic in evaluation mode (dropout, random masks, sampling)",
        )


def _softmax(logits: Floats) -> Floats:
    with np.errstate(invalid="ignore"):  # Infinities make NaN here, and that is found later.
        shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def _sigmoid(logits: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logits.astype(np.float64))), np.float32)
