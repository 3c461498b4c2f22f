"""From tensors to tensors: a request that brings the model's own input and wants its own outputs.

It goes the way of any other request (admission, the version by its share of traffic, shared batches), only without
decoding before and postprocessing after.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from contract.card import ModelCard
from contract.preprocess import Pixels
from contract.task import Task
from contract.tensors import DType, TensorSpec
from service.engines.base import Inferred
from service.errors import ErrorKind, ServiceError, deadline_exceeded, invalid_parameters
from service.inference import Inference
from service.registry.version import LoadedVersion, Resolved
from service.security.caller import Priority
from service.telemetry import Stages

_SHOWN = 200
"""Letters of a caller's own words that a message repeats."""


@dataclass(frozen=True, slots=True)
class InputTensor:
    """An input as a transport took it in: described, and not yet made."""

    name: str
    datatype: str
    """By the protocol's name; see `datatype_of`."""
    shape: tuple[int, ...]
    """With the batch axis, first."""
    read: Callable[[], Awaitable[Pixels]]
    """Make the array of the described shape, or ServiceError; it is called once the request has a permit."""


@dataclass(slots=True)
class TensorQuery:
    """What a caller wants, as any transport puts it."""

    model: str
    """``name``, ``name@alias`` or ``name:version``."""
    inputs: Sequence[InputTensor]
    outputs: Sequence[str]
    """Names of the outputs wanted, in this order; empty: all, in the card's order."""
    deadline: float | None = None
    """A moment of `time.monotonic` after which the caller no longer waits."""
    stages: Stages = field(default_factory=Stages)
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The request's headers, found by names in lower case."""
    resolved: Callable[[Task], None] = lambda _: None
    """Hears of the model's task, once it is known."""
    priority: Priority = Priority.NORMAL
    """Of the caller: the lower, the sooner it is refused."""


@dataclass(frozen=True, slots=True)
class TensorAnswer:
    """The outputs asked for, each with the batch axis first, and which version gave them."""

    outputs: dict[str, npt.NDArray[Any]]
    images: int
    alias: str | None
    version_used: LoadedVersion
    stand_in: str = ""
    """What answered because the version's engine was away; empty where that did."""


class TensorInference:
    """Answers tensor queries by the versions and the permits of `Inference`."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def infer(self, query: TensorQuery) -> TensorAnswer:
        """Answer a query, or raise ServiceError; nothing is made of its tensors before it is admitted."""
        try:
            async with asyncio.timeout_at(_loop_time(query.deadline)):
                return await self._infer(query)
        except TimeoutError:
            raise deadline_exceeded("the deadline passed before the model had answered") from None

    async def _infer(self, query: TensorQuery) -> TensorAnswer:
        try:
            resolved = await self._inference.resolve(None, query.model, query.metadata, query.deadline)
        except ServiceError:
            # That no version of a model is ready is an error of its task, as it is where the task is in the path.
            if task := self._inference.task_of(query.model):
                query.resolved(task)
            raise
        query.resolved(resolved.version.card.task)
        images = check_input(resolved.version.card, query.inputs)
        check_outputs(resolved.version.card, query.outputs)
        with self._inference.permit(images, query.priority):
            try:
                return await _run(query, resolved)
            except ServiceError as error:
                stable = self._inference.instead(resolved, error)
                if stable is None:
                    raise
            # All versions of a model have the same tensors, so what was checked holds.
            return await _run(query, stable)


def datatype_of(dtype: DType) -> str:
    """An element type as the Open Inference Protocol calls it, e.g. ``FP32``."""
    return dtype.triton.removeprefix("TYPE_")


def check_input(card: ModelCard, inputs: Sequence[InputTensor]) -> int:
    """How many images the only input holds; ServiceError says what the model takes if it is not that."""
    wanted = card.input
    names = [tensor.name for tensor in inputs]
    if names != [wanted.name]:
        raise invalid_parameters(f"{card.name} takes one input, {wanted.name!r}; the request has {_shown(names)}")
    (tensor,) = inputs
    if tensor.datatype != datatype_of(wanted.dtype):
        expected = datatype_of(wanted.dtype)
        raise invalid_parameters(f"input {wanted.name!r} must be {expected}, not {tensor.datatype[:_SHOWN]!r}")
    if tensor.shape[1:] != wanted.shape or not tensor.shape:
        raise invalid_parameters(
            f"input {wanted.name!r} must be of shape {batched(wanted)}, -1 being the number of images; "
            f"it is of shape {_shown(list(tensor.shape))}"
        )
    return tensor.shape[0]


def check_outputs(card: ModelCard, names: Sequence[str]) -> None:
    """ServiceError unless the model has these outputs, and each is asked for once."""
    known = [output.name for output in card.outputs]
    for name in names:
        if name not in known:
            raise invalid_parameters(f"{card.name} has no output {name[:_SHOWN]!r}; it has {', '.join(known)}")
    if len(set(names)) < len(names):
        raise invalid_parameters("an output is asked for more than once")


def batched(spec: TensorSpec) -> list[int]:
    """A tensor's shape with the batch axis, -1 standing for any number of images."""
    return [-1, *spec.shape]


async def _run(query: TensorQuery, resolved: Resolved) -> TensorAnswer:
    version, stages = resolved.version, query.stages
    with version.leases:
        begun = time.monotonic()
        batch = await query.inputs[0].read()
        read = time.monotonic()
        inferred = await version.engine.infer(list(batch), query.deadline)
    done = time.monotonic()
    stages.decode += read - begun
    stages.compute = min(done - read, max(item.compute_s for item in inferred))
    stages.queue = done - read - stages.compute
    names = query.outputs or [output.name for output in version.card.outputs]
    outputs = {name: _together(name, inferred) for name in names}
    stages.postprocess = time.monotonic() - done
    return TensorAnswer(outputs, len(inferred), resolved.alias, version, max(item.stand_in for item in inferred))


def _together(name: str, inferred: Sequence[Inferred]) -> npt.NDArray[Any]:
    """One output of all images, with the batch axis; of a single image without a copy."""
    parts = [item.outputs[name] for item in inferred]
    if len(parts) == 1:
        return parts[0][None]
    try:
        return np.stack(parts)
    except ValueError as error:
        message = f"the images' {name} differ in shape and make no tensor; send one image at a time"
        raise ServiceError(ErrorKind.INTERNAL, message) from error


def _loop_time(deadline: float | None) -> float | None:
    """A moment of `time.monotonic` by the event loop's clock."""
    return None if deadline is None else asyncio.get_running_loop().time() + deadline - time.monotonic()


def _shown(words: list[Any]) -> str:
    return str(words)[:_SHOWN]
