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
        return cls(card.name, card.platform, card.max_batch_size, card.input, card.outputs)


def to_config(card: ModelCard) -> str:
    """The complete ``config.pbtxt`` of a card's model.

    Triton prefers the batch sizes that tuning chose; all that are offered where the version was not tuned.
    """
    preferred = card.tuning.preferred_batch_sizes if card.tuning else ()
    return "\n".join(_lines(TritonConfig.of(card), preferred or card.batch_sizes)) + "\n"


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


def _lines(config: TritonConfig, preferred: tuple[int, ...]) -> Iterator[str]:
    yield f'name: "{config.name}"'
    yield f'backend: "{config.platform}"' if config.platform is Platform.PYTHON else f'platform: "{config.platform}"'
    yield f"max_batch_size: {config.max_batch_size}"
    yield from _tensor_lines("input", [config.input])
    yield from _tensor_lines("output", config.outputs)
    yield "dynamic_batching {"
    if sizes := [str(size) for size in preferred if size > 1]:
        yield f"  preferred_batch_size: [{', '.join(sizes)}]"
    yield "  max_queue_delay_microseconds: 0"
    yield "}"
    yield "version_policy { all { } }"


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
