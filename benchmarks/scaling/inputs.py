"""What the simulation is told: `inputs.yaml`, and the measured reports that it names."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

ROOT = Path(__file__).parents[2]
INPUTS = Path(__file__).parent / "inputs.yaml"

Bound = Literal["low", "base", "high"]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Strict):
    """An assumption: nobody here has measured it."""

    low: NotNegative
    base: NotNegative
    high: NotNegative

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if not self.low <= self.base <= self.high:
            raise ValueError(f"low, base and high must ascend; they are {self.low:g}, {self.base:g}, {self.high:g}")
        return self

    def at(self, bound: Bound) -> float:
        """One of the three."""
        return {"low": self.low, "base": self.base, "high": self.high}[bound]


class Measured(_Strict):
    """Where the measured figures stand."""

    report: Path
    model: str
    small_model: str
    callers: Count
    small_model_ms: Positive
    steady_callers: Path
    steady_rate: Positive
    caller_ms: NotNegative
    open_loop: Path


class CpuPod(_Strict):
    """A gateway with the embedded engine."""

    cores: Count
    max_batch: Count
    images_in_flight: Count


class GpuPod(_Strict):
    """Triton on one GPU."""

    fixed_ms: Range
    per_image_ms: Range
    spread: NotNegative
    max_batch: Count
    instances: Count


class GatewayPod(_Strict):
    """A gateway before Triton."""

    cores: Count
    images_in_flight: Count
    tensor_call_ms: NotNegative
    target_utilisation: Share


class Objective(_Strict):
    """What callers are promised."""

    p99_ms: Positive
    refused: Share
    most_load: Share
    """Of what full batches could do; beyond it a little more makes the queue grow without end."""


class Start(_Strict):
    """What passes until a new pod takes traffic, in seconds."""

    service_s: NotNegative
    scheduling_s: Range
    image_pull_s: Range
    triton_start_s: Range
    readiness_period_s: Positive
    node_s: Range
    nodes_at_once: Count
    spare: NotNegative


class Kubernetes(_Strict):
    """Defaults of the autoscaler and of the node controller, and how often metrics are scraped."""

    sync_s: Positive
    tolerance: NotNegative
    node_grace_s: NotNegative
    toleration_s: NotNegative
    scrape_s: Positive
    noticed_s: NotNegative
    """Until nobody sends to a zone that is gone: the balancer's own check."""


class Pace(_Strict):
    """So many pods, or percent of them, within so many seconds."""

    percent: Positive | None = None
    pods: Count | None = None
    period_s: Positive

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.percent is None) == (self.pods is None):
            raise ValueError("a pace is either percent or pods")
        return self


class Autoscaling(_Strict):
    """What an autoscaler looks at, and how quickly it may follow."""

    in_flight: Positive | None = None
    queue_wait_ms: Positive | None = None
    images_per_s: Positive | None = None
    """That come to a pod, refused ones included; as a share of what it holds."""
    clamp: Annotated[float, Field(gt=1)] | None = None
    """No pod tells more than so many times the target."""
    wait_percentile: Annotated[float, Field(gt=0, lt=100)] | None = None
    """None: the mean."""
    wait_window_s: Positive = 60.0
    in_flight_window_s: NotNegative = 0.0
    up: tuple[Pace, ...]
    down: tuple[Pace, ...]
    up_window_s: NotNegative = 0.0
    down_window_s: NotNegative = 300.0

    @model_validator(mode="after")
    def _looks_at_something(self) -> Self:
        if self.in_flight is None and self.queue_wait_ms is None and self.images_per_s is None:
            raise ValueError("it must look at in_flight, queue_wait_ms or images_per_s")
        return self


class Ways(_Strict):
    """Ways to set the autoscaler of each kind of pod, by name; the first is the chart's."""

    cpu: dict[str, Autoscaling]
    gpu: dict[str, Autoscaling]


class Canary(_Strict):
    """Shares of a canary, and requests a second of the model."""

    shares: tuple[Share, ...]
    rates: tuple[Positive, ...]


class Node(_Strict):
    """What is paid for."""

    price: Positive
    cores: Count
    gpus: Annotated[int, Field(ge=0)]
    usable: Share


class Prices(_Strict):
    """Kinds of nodes, each with its price an hour."""

    cpu_node: Node
    gpu_node: Node
    gpu_node_of_four: Node


class Day(_Strict):
    """Traffic at its lowest and highest, to its mean."""

    trough: Share
    peak: Annotated[float, Field(ge=1)]


class Inputs(_Strict):
    """All of `inputs.yaml`."""

    measured: Measured
    cpu_pod: CpuPod
    gpu_pod: GpuPod
    gateway_pod: GatewayPod
    objective: Objective
    start: Start
    kubernetes: Kubernetes
    autoscaling: Ways
    zones: Annotated[int, Field(ge=2)]
    canary: Canary
    prices: Prices
    day: Day
    sizes: tuple[Count, ...]
    seed: int


class Row(_Strict):
    """One row of `RESULTS.md`: so many callers, each waiting for its answer."""

    callers: int
    cpu_ms: float
    ceiling_cpu_ms: float
    requests_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def read_inputs(path: Path = INPUTS) -> Inputs:
    """Read the file; pydantic's ValidationError names what is wrong in it."""
    return Inputs.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def read_rows(report: Path, model: str) -> list[Row]:
    """The rows of one model in the report that `make bench` writes; LookupError where it has none."""
    _, found, section = report.read_text(encoding="utf-8").partition(f"\n## {model}\n")
    if not found:
        raise LookupError(f"{report.name} has no section {model}; run make bench with that model")
    rows = []
    for line in section.partition("\n## ")[0].splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if re.fullmatch(r"\d+", cells[0]):
            p50, p95, p99 = (float(part) for part in cells[6].split("/"))
            rows.append(
                Row(
                    callers=int(cells[0]),
                    cpu_ms=float(cells[1]),
                    ceiling_cpu_ms=float(cells[2]),
                    requests_per_s=float(cells[4]),
                    p50_ms=p50,
                    p95_ms=p95,
                    p99_ms=p99,
                )
            )
    if not rows:
        raise LookupError(f"{report.name} has no figures of {model}")
    return rows
