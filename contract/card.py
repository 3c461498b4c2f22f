"""The ModelCard: everything that anyone needs to know to run, judge and trust one version of a model."""

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from contract.preprocess import PreprocessSpec
from contract.task import Task
from contract.tensors import DType, TensorSpec


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Platform(StrEnum):
    """What runs the version's file, by Triton's name for it."""

    ONNX = "onnxruntime_onnx"
    TENSORRT = "tensorrt_plan"
    PYTHON = "python"

    @property
    def filename(self) -> str:
        """The file in the version folder that holds the compiled model."""
        return "model.plan" if self is Platform.TENSORRT else "model.onnx"


class Supervision(StrEnum):
    """What the training data said about the task that the model carries out."""

    FULL = "full"
    WEAK = "weak"
    """The answer is derived from coarser labels than it shows, e.g. boxes from a classifier's activation."""
    NONE = "none"


class Provenance(_Strict):
    """Where a version comes from."""

    source: str
    """What was compiled, e.g. ``timm:tf_efficientnet_lite0``."""
    weights: str
    """Where the weights come from: a package with its version, a file's name, a hub's name, or ``random``."""
    weights_sha256: str | None = None
    trained: bool
    """False for random weights: the answers then mean nothing."""
    supervision: Supervision = Supervision.FULL
    licence: str
    reference: str | None = None
    """The paper or page that describes the model."""
    notes: tuple[str, ...] = ()
    built_at: datetime
    tools: dict[str, str]
    """Versions of the libraries that built it, by name."""


class Figures(_Strict):
    """How large the model is."""

    parameters: int = Field(ge=0)
    gmacs: float | None = Field(default=None, ge=0)
    """10⁹ multiply-accumulates an image, in matrix products and convolutions."""


class CertificateCheck(_Strict):
    """One comparison of the engine with its source, over all slots of one batch size."""

    batch_size: int = Field(gt=0)
    inputs: Literal["images", "noise"]
    max_relative_error: float = Field(ge=0)
    """Largest difference over the outputs, divided by that output's largest magnitude (in any slot)."""
    agreement: float = Field(ge=0, le=1)
    """Share of slots in which the task's answer is the same (top-1, box IoU, mask IoU, cosine)."""
    passed: bool


class Certificate(_Strict):
    """The proof that the engine computes what its source computes."""

    passed: bool
    tolerance: float = Field(gt=0)
    """Largest relative error allowed."""
    trace_batch_size: int = Field(gt=0)
    """The batch size that the exporter saw; every other size below was new to it."""
    checks: tuple[CertificateCheck, ...]
    reference: str
    """What the engine was compared with, e.g. ``torch 2.13.0``."""
    engine: str
    """What ran the engine, e.g. ``onnxruntime 1.31.1 CPUExecutionProvider``."""
    verified_at: datetime


class Evaluation(_Strict):
    """One figure of merit, measured through the serving preprocessing and engine."""

    metric: str = Field(min_length=1)
    """What was measured, e.g. ``top1``, ``box_map`` or ``miou``."""
    value: float = Field(allow_inf_nan=False)
    dataset: str
    """What it was measured on, by a name that people know, e.g. ``coco-val2017``; never a path."""
    images: int = Field(gt=0)
    evaluated_at: datetime


class Measurement(_Strict):
    """How fast one engine answered with so many callers, each sending batches of one size."""

    batch_size: int = Field(gt=0)
    callers: int = Field(gt=0)
    threads: int = Field(gt=0)
    """Threads that the engine gives to one batch."""
    latency_p50_ms: float = Field(ge=0)
    """Of a whole batch, as its caller sees it."""
    latency_p99_ms: float = Field(ge=0)
    images_per_second: float = Field(ge=0)
    """Of all callers together."""


class Tuning(_Strict):
    """What was measured on one machine, and the batch sizes that it speaks for."""

    machine: str
    """The machine's kind in words, e.g. its processor and cores; never its name."""
    measurements: tuple[Measurement, ...] = ()
    preferred_batch_sizes: tuple[int, ...] = ()
    """Sizes that a batcher should aim at, ascending; each is one of the card's `batch_sizes`."""
    tuned_at: datetime


class Plan(_Strict):
    """A TensorRT engine in the version's folder, beside the ONNX file that it was compiled from.

    A plan is bound to the TensorRT that built it and, unless it was built to be compatible, to its GPU and driver.
    """

    engine: Literal["tensorrt", "tensorrt-rtx"]
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    """Its name in the version's folder."""
    tensorrt_version: str
    gpu: str | None = None
    """The GPU that it was built on; None where it was built ahead of time, without one."""
    driver: str | None = None
    compute_capability: str | None = None
    """E.g. ``9.0``; None for a plan that is not bound to one."""
    precision: str
    """What was asked for, e.g. ``fp32`` or ``mixed``."""
    layer_precisions: dict[str, int] = Field(default_factory=dict)
    """How many of the finished engine's layers run in which precision, as the engine inspector tells."""
    certified: bool = False
    """Whether it was compared with its ONNX file on a GPU and passed; no other plan is ever offered."""
    certificate: Certificate | None = None
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _certified_means_a_passed_certificate(self) -> Self:
        if self.certified and not (self.certificate and self.certificate.passed):
            raise ValueError(f"plan {self.file} says that it is certified, without a passed certificate")
        return self


class ModelCard(_Strict):
    """One version of a model, as `card.json` holds it."""

    card_schema: Literal[1] = 1
    """Raised when a field changes its meaning; a reader refuses a card of another schema."""
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}$")
    version: int = Field(ge=1)
    task: Task
    description: str = ""
    platform: Platform = Platform.ONNX
    precision: Literal["fp32", "fp16", "bf16", "int8", "fp8", "mixed"] = "fp32"
    input: TensorSpec
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    preprocess: PreprocessSpec
    labels: tuple[str, ...] = ()
    task_settings: dict[str, JsonValue] = Field(default_factory=dict)
    """The task's settings for this model, e.g. its score threshold; each task's module declares which there are."""
    batch_sizes: tuple[int, ...] = Field(min_length=1)
    """The batch sizes that the certificate covers, ascending; no other is ever sent to the engine."""
    provenance: Provenance
    figures: Figures
    certificate: Certificate
    evaluation: tuple[Evaluation, ...] = ()
    """Figures of merit, oldest first."""
    tuning: Tuning | None = None
    plans: tuple[Plan, ...] = ()
    """TensorRT engines compiled from this version, certified or not."""

    @property
    def max_batch_size(self) -> int:
        """The largest batch size on offer."""
        return self.batch_sizes[-1]

    @model_validator(mode="after")
    def _input_takes_pixels(self) -> Self:
        wanted = self.preprocess.input_shape
        if self.input.dtype is not DType.UINT8 or self.input.shape != wanted:
            raise ValueError(f"the input must be uint8 {wanted}, as preprocess makes it, not {self.input}")
        return self

    @model_validator(mode="after")
    def _batch_sizes_are_certified(self) -> Self:
        if list(self.batch_sizes) != sorted(set(self.batch_sizes)) or self.batch_sizes[0] != 1:
            raise ValueError(f"batch_sizes must ascend from 1 without repeats, not {self.batch_sizes}")
        failed = {check.batch_size for check in self.certificate.checks if not check.passed}
        checked = {check.batch_size for check in self.certificate.checks} - failed
        if missing := set(self.batch_sizes) - checked:
            raise ValueError(f"batch sizes {sorted(missing)} are offered without a passed check in the certificate")
        return self

    @model_validator(mode="after")
    def _preferred_batch_sizes_are_offered(self) -> Self:
        preferred = self.tuning.preferred_batch_sizes if self.tuning else ()
        if list(preferred) != sorted({*preferred} & {*self.batch_sizes}):
            raise ValueError(
                f"preferred_batch_sizes {preferred} must ascend, and be among batch_sizes {self.batch_sizes}"
            )
        return self
