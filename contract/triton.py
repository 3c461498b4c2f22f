"""ModelCard ↔ Triton's ``config.pbtxt``.

The text is written here in full, so that Triton needs no auto-completion; the tests hold it against Triton's own
protobuf schema. What it reads back is the part of a card that Triton knows of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from contract.card import ModelCard, Platform
from contract.tensors import DType, TensorSpec


@dataclass(frozen=True, slots=True)
class TritonConfig:
    """The part of a card that stands in ``config.pbtxt``."""

    name: str
    platform: Platform
    max_batch_size: int
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]

    @classmethod
    def of(cls, card: ModelCard) -> "TritonConfig":
        """What Triton needs to know of a card."""
        return cls(card.name, card.platform, unbroken_batch_size(card), card.input, card.outputs)


@dataclass(frozen=True, slots=True)
class TritonServing:
    """How Triton is to serve a model; none of it is the model's own."""

    versions: tuple[int, ...] = ()
    """The versions to load; none named: all that there are."""
    max_batch_size: int | None = None
    """Largest batch to form; what the card allows where it is less."""
    max_queue: int | None = 256
    """Requests that may wait for one version; more are refused. None: no policy for the queue at all.

    With any policy, Triton 2.51 keeps its batcher from preparing the next batch, and now and then loses the signal
    that it may go on: a request then waits half a second for nothing. Who bounds the queue before Triton wants None.
    """
    instances: int = 1
    """Batches of one version that run at the same time, on each device."""
    on_gpu: bool | None = None
    """Whether an instance sits on a GPU; None: a plan's does, the others' do not."""


def unbroken_batch_size(card: ModelCard) -> int:
    """The largest n such that every size from 1 to n is certified.

    Triton's batcher forms whatever size it has requests for, so a gap in the certified sizes is the end of them.
    """
    sizes = set(card.batch_sizes)
    return next(size for size in range(1, len(sizes) + 1) if size + 1 not in sizes)


def to_config(card: ModelCard, serving: TritonServing | None = None) -> str:
    """The complete ``config.pbtxt`` of a card's model.

    Triton prefers the batch sizes that tuning chose; all that it may form where the version was not tuned.
    """
    return "\n".join(_lines(TritonConfig.of(card), _preferred(card), serving or TritonServing())) + "\n"


def from_config(text: str) -> TritonConfig:
    """Read what `to_config` wrote; ValueError for a text that lacks a field.

    It reads its own hand only: a configuration from elsewhere goes through Triton's protobuf schema.
    """
    platform = re.search(r'^(?:platform|backend): "([^"]+)"', text, re.MULTILINE)
    name = re.search(r'^name: "([^"]+)"', text, re.MULTILINE)
    batch = re.search(r"^max_batch_size: (\d+)", text, re.MULTILINE)
    inputs, outputs = _read_tensors(text, "input"), _read_tensors(text, "output")
    if not (platform and name and batch and len(inputs) == 1 and outputs):
        raise ValueError("the text is not a config.pbtxt of this project")
    return TritonConfig(name[1], Platform(platform[1]), int(batch[1]), inputs[0], outputs)


def _preferred(card: ModelCard) -> tuple[int, ...]:
    return (card.tuning.preferred_batch_sizes if card.tuning else ()) or card.batch_sizes


def _lines(config: TritonConfig, preferred: tuple[int, ...], serving: TritonServing) -> Iterator[str]:
    largest = min(config.max_batch_size, serving.max_batch_size or config.max_batch_size)
    yield f'name: "{config.name}"'
    yield f'backend: "{config.platform}"' if config.platform is Platform.PYTHON else f'platform: "{config.platform}"'
    yield f"max_batch_size: {largest}"
    yield from _tensor_lines("input", [config.input])
    yield from _tensor_lines("output", config.outputs)
    yield from _batching_lines([size for size in preferred if 1 < size <= largest], serving.max_queue)
    on_gpu = config.platform is Platform.TENSORRT if serving.on_gpu is None else serving.on_gpu
    yield f"instance_group [ {{ count: {serving.instances} kind: {'KIND_GPU' if on_gpu else 'KIND_CPU'} }} ]"
    yield from _warm_up_lines(config.input, sorted({1, largest}))
    versions = f"specific {{ versions: [{', '.join(map(str, serving.versions))}] }}" if serving.versions else "all { }"
    yield f"version_policy {{ {versions} }}"


def _batching_lines(preferred: list[int], max_queue: int | None) -> Iterator[str]:
    """Batches form without waiting on purpose; a full queue and a time-out in it are answers."""
    yield "dynamic_batching {"
    if preferred:
        yield f"  preferred_batch_size: [{', '.join(map(str, preferred))}]"
    yield "  max_queue_delay_microseconds: 0"
    if max_queue is not None:
        yield "  default_queue_policy {"
        yield "    timeout_action: REJECT"
        yield "    allow_timeout_override: true"
        yield f"    max_queue_size: {max_queue}"
        yield "  }"
    yield "}"


def _warm_up_lines(tensor: TensorSpec, sizes: list[int]) -> Iterator[str]:
    """Noise in the smallest and in the largest batch, before the version is called ready."""
    dims = ", ".join(str(size) for size in tensor.shape)
    for size in sizes:
        yield "model_warmup {"
        yield f'  name: "batch of {size}"'
        yield f"  batch_size: {size}"
        yield f'  inputs {{ key: "{tensor.name}"'
        yield f"    value {{ data_type: {tensor.dtype.triton} dims: [{dims}] random_data: true }} }}"
        yield "}"


def _tensor_lines(field: str, tensors: tuple[TensorSpec, ...] | list[TensorSpec]) -> Iterator[str]:
    yield f"{field} ["
    for index, tensor in enumerate(tensors):
        dims = ", ".join(str(size) for size in tensor.shape)
        comma = "," if index + 1 < len(tensors) else ""
        yield f'  {{ name: "{tensor.name}" data_type: {tensor.dtype.triton} dims: [{dims}] }}{comma}'
    yield "]"


_TENSOR = re.compile(r'\{ name: "(\w+)" data_type: (\w+) dims: \[([-\d, ]*)\] \}')


def _read_tensors(text: str, field: str) -> tuple[TensorSpec, ...]:
    block = re.search(rf"^{field} \[$(.*?)^\]$", text, re.MULTILINE | re.DOTALL)
    by_triton = {dtype.triton: dtype for dtype in DType}
    return tuple(
        TensorSpec(
            name=name, dtype=by_triton[dtype], shape=tuple(int(size) for size in dims.split(",") if size.strip())
        )
        for name, dtype, dims in _TENSOR.findall(block[1] if block else "")
    )
