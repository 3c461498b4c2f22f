"""One version of a model, run by the replicas of a Triton."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from typing import Any, Protocol

import numpy as np
from tritonclient.grpc import service_pb2  # type: ignore[import-untyped]

from contract.preprocess import Pixels
from contract.tasks.definition import Outputs
from service.engines.base import EngineAway, Inferred
from service.engines.triton.errors import SURELY_NOT_EXECUTED, Failure
from service.engines.triton.patience import Patience
from service.engines.triton.replica import Replica
from service.engines.triton.wanted import Lease, WantedModel
from service.errors import ErrorKind, ServiceError, deadline_exceeded, engine_unavailable, overloaded


class Fleet(Protocol):
    """The replicas that an engine may ask."""

    def next(self, model: str, version: int, tried: Collection[Replica]) -> Replica | None:
        """The replica whose turn it is, of those that serve the version and were not tried."""
        ...

    def serves(self, model: str, version: int) -> bool:
        """Whether any replica can be asked for the version."""
        ...

    def retried(self, failure: Failure) -> None:
        """Take notice that a request goes to another replica."""
        ...

    @property
    def places(self) -> int:
        """Batches of one version that run at the same time."""
        ...


class TritonEngine:
    """Triton batches what it is sent, so no batcher belongs around this.

    Triton tells no request how long it waited there: ``queue_s`` is 0 and ``compute_s`` the whole round trip.
    """

    def __init__(
        self,
        model: WantedModel,
        lease: Lease,
        fleet: Fleet,
        patience: Patience,
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self._card = lease.card
        self._slots = lease.slots
        self._model = model
        self._fleet = fleet
        self._patience = patience
        self._release = release
        self._outputs = {output.name: output.dtype.numpy for output in self._card.outputs}
        self._max_queue = lease.max_queue
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """All sizes up to the largest below which none is uncertified; another loaded version may lower it."""
        return tuple(range(1, self._model.offered + 1))

    @property
    def concurrency(self) -> int:
        """How many batches run at the same time, over all replicas that are up."""
        return self._fleet.places

    @property
    def healthy(self) -> bool:
        """Whether any replica that has the version can be reached."""
        return self._fleet.serves(self._card.name, self._card.version)

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """Run images uint8 [H, W, 3]; see `Engine.infer`. Any number may be sent: batches of it run side by side.

        Besides what the seam says, ServiceError (invalid_parameters) for images of another shape or type.
        """
        del flow  # Triton's queue knows of none; streams keep few images under way at a time.
        if self._closed:
            raise engine_unavailable("the model is being unloaded")
        self._check(images)
        largest = self._model.offered
        if self._in_flight + len(images) > self._max_queue + self._fleet.places * largest:
            raise overloaded(f"{self._in_flight} images wait for this model already; try again in a moment")
        self._in_flight += len(images)
        self._idle.clear()
        try:
            if len(images) <= largest:
                return await self._answer(images, deadline)
            batches = [images[begin : begin + largest] for begin in range(0, len(images), largest)]
            return await _all([self._answer(batch, deadline) for batch in batches])
        finally:
            self._in_flight -= len(images)
            if not self._in_flight:
                self._idle.set()

    def take_traffic(self) -> None:
        """Nothing changes: Triton has given way to nobody."""

    async def close(self) -> None:
        """Take no more, finish what was accepted, and unload the version on every replica."""
        if self._closed:
            return
        self._closed = True
        await self._idle.wait()
        await self._release()

    def _check(self, images: Sequence[Pixels]) -> None:
        for image in images:
            if image.shape != self._card.input.shape or image.dtype != np.uint8:
                wanted = list(self._card.input.shape)
                raise ServiceError(
                    ErrorKind.INVALID_PARAMETERS,
                    f"{self._card.name} takes uint8 {wanted}, not {image.dtype} {list(image.shape)}",
                )

    async def _answer(self, images: Sequence[Pixels], deadline: float | None) -> list[Inferred]:
        if not images:
            return []
        if self._slots is None:
            return await self._ask(images, deadline, None)
        with self._slots.holding(images) as offset:
            return await self._ask(images, deadline, offset)

    async def _ask(self, images: Sequence[Pixels], deadline: float | None, offset: int | None) -> list[Inferred]:
        """Ask one replica after the other, as long as each has surely not executed the request."""
        name = self._card.name
        replica = self._fleet.next(name, self._card.version, ())
        if replica is None:
            raise EngineAway(f"no Triton that serves {name} can be reached; try again in a moment")
        tried: list[Replica] = []
        while True:
            begun = time.monotonic()
            timeout_s = self._patience.request_s if deadline is None else deadline - begun
            if timeout_s <= 0:
                raise deadline_exceeded("the deadline passed before the request was sent to the engine")
            request = self._request(images, offset, replica, timeout_s)
            try:
                response = await replica.infer(name, self._card.version, request, timeout_s)
            except Failure as failure:
                tried.append(replica)
                replica = self._fleet.next(name, self._card.version, tried)
                if replica is None or failure.cause not in SURELY_NOT_EXECUTED:
                    raise failure.for_caller(name) from failure
                self._fleet.retried(failure)
            else:
                return self._read(response, len(images), time.monotonic() - begun)

    def _request(self, images: Sequence[Pixels], offset: int | None, replica: Replica, timeout_s: float) -> Any:
        card = self._card
        request = service_pb2.ModelInferRequest(model_name=card.name, model_version=str(card.version))
        request.parameters["timeout"].int64_param = int(timeout_s * 1e6)
        shape = (len(images), *card.input.shape)
        tensor = request.inputs.add(name=card.input.name, datatype="UINT8", shape=shape)
        if offset is not None and self._slots and replica.shares(card.name, self._slots.name):
            tensor.parameters["shared_memory_region"].string_param = self._slots.name
            tensor.parameters["shared_memory_byte_size"].int64_param = int(np.prod(shape))
            tensor.parameters["shared_memory_offset"].int64_param = offset
        else:
            # One copy: from the images into the bytes that the message takes over.
            request.raw_input_contents.append(b"".join(np.ascontiguousarray(image).data for image in images))
        return request

    def _read(self, response: Any, size: int, round_trip_s: float) -> list[Inferred]:
        pairs = zip(response.outputs, response.raw_output_contents, strict=False)
        sent = {output.name: (tuple(output.shape[1:]), raw) for output, raw in pairs}
        try:
            tensors = {
                name: np.frombuffer(sent[name][1], dtype).reshape(size, *sent[name][0])
                for name, dtype in self._outputs.items()
            }
        except (ValueError, KeyError) as error:
            raise engine_unavailable(f"Triton's answer is not what {self._card.name} puts out") from error
        return [Inferred(self._item(tensors, index), 0.0, round_trip_s, size) for index in range(size)]

    @staticmethod
    def _item(tensors: dict[str, np.ndarray[Any, Any]], index: int) -> Outputs:
        return {name: values[index] for name, values in tensors.items()}


async def _all(parts: Sequence[Any]) -> list[Inferred]:
    """The parts' answers in their order; if one fails the others are given up."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return [answer for part in await asyncio.gather(*tasks) for answer in part]
    finally:
        # Nothing here may hold on to a failed part: its error, which passes through this frame, would refer to itself
        # and keep the images until the garbage collector comes by.
        while tasks:
            tasks.pop().cancel()
