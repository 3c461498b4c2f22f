"""The value that every step takes and returns, and what a step is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeVar

import numpy as np
import onnx
from pydantic import JsonValue
from torch import nn

from build_engines.catalog.entry import Entry, Normalisation
from build_engines.graph_network import GraphNetwork
from contract.card import Certificate, Figures, Plan, Platform
from contract.preprocess import Floats, Pixels, PreprocessSpec
from contract.repository import Repository

T = TypeVar("T")

INPUT_NAME = "images"
"""What every compiled model calls its input."""

GOLDEN_BATCH_SIZE = 2

Tensors = dict[str, np.ndarray[Any, Any]]
"""Output tensors by name, the batch axis first."""

Weights = Literal["pretrained", "random"] | Path
"""``pretrained``: what the entry declares; a path: a local checkpoint."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a user asks for."""

    entry: Entry
    repository: Repository
    weights: Weights = "pretrained"
    resolution: int | None = None
    version: int | None = None
    """None: the next free one."""
    images: Path | None = None
    """A folder of photographs to verify with, besides the built-in patterns."""
    engine: Literal["onnxruntime", "tensorrt", "tensorrt-rtx"] = "onnxruntime"
    """What the version is compiled for besides ONNX Runtime."""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    """Of the compiled plan; other than fp32, layers that need the range keep it."""
    platform: Literal[Platform.ONNX, Platform.PYTHON] = Platform.ONNX
    """What Triton is to run the ONNX file with: its own ONNX Runtime, or a Python model that brings one."""
    explain: bool = False
    """A classifier is to show where it sees its most probable classes: see `build_engines.explain`."""


@dataclass(frozen=True, slots=True)
class WeightsOrigin:
    """Which weights a network carries."""

    name: str
    sha256: str | None
    trained: bool


Exporter = Literal["torch.export", "tracer"]
"""The two ways from torch to ONNX."""


@dataclass(frozen=True, slots=True)
class Level:
    """One map of a feature pyramid."""

    channels: int
    stride: int
    """Pixels of the input for one position of the map."""


class ForeignNetwork(Protocol):
    """A network that lives in another process, beside which nothing of the builder is imported."""

    framework: str
    """What runs it, e.g. ``torch 2.13.0``."""

    def export(self, exporter: Exporter, artifact: "Artifact") -> onnx.ModelProto:
        """The compiled form, as `build_engines.export` makes it of a network in this process; BuildFailure if not."""

    def run(self, pixels: Floats) -> list[np.ndarray[Any, Any]]:
        """Normalised pixels f32 [B,3,H,W] → raw outputs."""

    def close(self) -> None:
        """End the process."""


Network = nn.Module | GraphNetwork | ForeignNetwork


@dataclass(frozen=True, slots=True)
class Artifact:
    """What is known of a model so far; each step returns a copy that knows more."""

    order: Order
    network: Network | None = None
    """The source: pixels f32 [B,3,H,W], normalised, → the task's tensors, the first one of a classifier being logits.

    Its own graph where it comes as ONNX; clips are [B,T,3,H,W]; a trimap is a fourth channel in 0…1.
    """
    reference: nn.Module | None = None
    """The network as it came, where ``network`` is a rewritten form of it; the certificate holds against this one."""
    output_names: tuple[str, ...] = ()
    """The task's names for the outputs, in the network's order."""
    pyramid: tuple[Level, ...] = ()
    """Where a head is to follow: the network gives these maps f32 [B,C,h,w] as a tuple, the finest first."""
    preprocess: PreprocessSpec | None = None
    normalisation: Normalisation | None = None
    labels: tuple[str, ...] | None = None
    origin: WeightsOrigin | None = None
    figures: Figures | None = None
    model: onnx.ModelProto | None = None
    """The compiled model: uint8 [B,H,W,3] → the task's tensors."""
    exporter: Exporter | None = None
    """How the network became ONNX; None where it came as such."""
    trace_batch_size: int | None = None
    samples: Pixels | None = None
    """Pictures uint8 [K,H,W,3] of the network's size, to verify with; the first ones become the golden sample."""
    golden: Tensors | None = None
    """What the engine answers to the first `GOLDEN_BATCH_SIZE` samples."""
    batch_sizes: tuple[int, ...] | None = None
    certificate: Certificate | None = None
    plans: tuple[tuple[Plan, bytes], ...] = ()
    """What was compiled beside the model, with its files' content."""
    plan_problem: str | None = None
    """Why there is no plan, where one was asked for and could not be made; the version is served without it."""
    version: int | None = None
    path: Path | None = None
    """The finished version's folder."""
    task_settings: Mapping[str, JsonValue] = field(default_factory=dict)
    """What the card says of the task besides what the entry states."""
    notes: tuple[str, ...] = ()
    """What a reader of the card should know of how it was built."""
    warnings: tuple[str, ...] = field(default=())
    """What the person who builds should know."""

    def having(self, **known: object) -> Self:
        """A copy with these fields set."""
        return replace(self, **known)  # type: ignore[arg-type]  # mypy cannot match the keywords of a dict

    def lacking(self, names: tuple[str, ...]) -> list[str]:
        """Those of the fields named that are still unknown."""
        values = {name: getattr(self, name) for name in names}
        return [name for name, value in values.items() if value is None or (isinstance(value, tuple) and not value)]


def known(value: T | None) -> T:
    """A field that the running step requires, so that it cannot be absent."""
    if value is None:
        raise AssertionError("a step reads a field that it does not require; this is a bug in the step")
    return value


class BuildFailure(Exception):
    """A step cannot go on: why, and what to do about it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class StepFailed(Exception):
    """A build ended in one of its steps; nothing of it stays in the repository."""

    def __init__(self, step: str, reason: str, remedy: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the builder, with what it needs to know before and promises to know after."""

    name: str
    run: Callable[[Artifact], Artifact]
    requires: tuple[str, ...]
    ensures: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse promises about fields that no artifact has."""
        if unknown := {*self.requires, *self.ensures} - {item.name for item in fields(Artifact)}:
            raise ValueError(f"step {self.name}: an artifact has no {sorted(unknown)}")

    def __call__(self, artifact: Artifact) -> Artifact:
        """Run the step; StepFailed, with the step's name, if it cannot or its promises do not hold."""
        if missing := artifact.lacking(self.requires):
            raise StepFailed(self.name, f"needs {missing}, which no earlier step gave", "reorder the steps")
        with _FailingAs(self.name):
            after = self.run(artifact)
        if missing := after.lacking(self.ensures):
            raise StepFailed(self.name, f"promised {missing} and did not give it", "mend the step")
        return after


class _FailingAs:
    """Gives whatever fails inside the name of the step that it failed in."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, BuildFailure):
            raise StepFailed(self._step, error.reason, error.remedy) from error
        if isinstance(error, Exception):
            reason = f"{type(error).__name__}: {error}"
            raise StepFailed(self._step, reason, "an unforeseen error; --traceback shows where") from error
