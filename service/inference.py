"""From encoded images to typed answers: the way of a request, on one page, for every transport."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import ValidationError

from contract.image import DecodeLimits, ImageTooLarge, InvalidImage, decode
from contract.preprocess import Geometry, Pixels, PreprocessSpec, preprocess
from contract.task import Task
from contract.tasks.definition import InvalidParameter, Parameters, TaskDefinition, UnusableOutput
from contract.tasks.table import TASKS
from service.admission import Admission, Permit
from service.engines.base import Inferred
from service.errors import ErrorKind, ServiceError, deadline_exceeded, invalid_parameters
from service.pixel_budget import PixelBudget
from service.registry.registry import NotResident, Registry
from service.registry.routing import STABLE
from service.registry.version import LoadedVersion, Resolved, Version
from service.security.caller import Priority
from service.telemetry import Stages, Telemetry


@dataclass(slots=True)
class Query:
    """What a caller wants, as any transport puts it."""

    task: Task
    model: str | None
    """``name``, ``name@alias`` or ``name:version``; None for the task's default."""
    images: Sequence[bytes | Pixels]
    """Encoded images; or decoded ones, RGB uint8 [H, W, 3], as a video's frames are; or, where the model takes clips,
    frames that went through `Inference.preprocess_frame`, uint8 [T, height, width, 3]."""
    parameters: dict[str, Any]
    """The task's parameters, not yet checked."""
    deadline: float | None = None
    """A moment of `time.monotonic` after which the caller no longer waits."""
    stages: Stages = field(default_factory=Stages)
    """Where the time went; filled as the request goes on, also if it fails."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The request's headers, found by names in lower case."""
    request_id: str = ""
    flow: Hashable | None = None
    """What all queries of one stream have in common: no flow takes the turns of the others. None: a flow of its own."""
    priority: Priority = Priority.NORMAL
    """Of the caller: the lower, the sooner it is refused."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A typed result for each image, and which version gave it."""

    model: str
    version: int
    alias: str | None
    results: list[Any]
    version_used: LoadedVersion
    stand_in: str = ""
    """What answered because the version's engine was away; empty where that did."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image on its way to the engine."""

    input: Pixels
    geometry: Geometry
    decode_s: float
    preprocess_s: float
    decoded_pixels: int = 0


@dataclass(frozen=True, slots=True)
class Computed:
    """What one version made of a query, before the caller's parameters."""

    query: Query
    resolved: Resolved
    prepared: Sequence[Prepared]
    inferred: Sequence[Inferred]
    engine_s: float
    """Seconds in the engine, its queue included."""


class Observer(Protocol):
    """Hears of requests that were divided among a model's aliases; it must be quick."""

    def answered(self, computed: Computed) -> None:
        """A version answered."""
        ...

    def failed(self, resolved: Resolved, error: ServiceError) -> None:
        """A version could not answer, by no fault of the caller."""
        ...


FAULTS = frozenset({ErrorKind.ENGINE_UNAVAILABLE, ErrorKind.INTERNAL})
"""Kinds of error that speak against the version, not the caller or the load."""


class Inference:
    """Answers queries over a registry."""

    def __init__(
        self,
        registry: Registry,
        telemetry: Telemetry,
        workers: Executor,
        limits: DecodeLimits,
        admission: Admission,
        bring_back: Callable[[Version], Awaitable[None]],
        max_pixels_per_request: int,
    ) -> None:
        self._registry = registry
        self._bring_back = bring_back
        self.observer: Observer | None = None
        self._telemetry = telemetry
        self._workers = workers
        self._limits = limits
        self._admission = admission
        self._max_pixels_per_request = max_pixels_per_request

    async def predict(self, query: Query) -> Answer:
        """Answer a query, or raise ServiceError; one bad image fails the whole query and is named."""
        resolved = await self.resolve(query.task, query.model, query.metadata, query.deadline)
        parameters = parse_parameters(TASKS[query.task], query.parameters)
        with self._admission.permit(len(query.images), query.priority):
            try:
                return await self._answer(query, resolved, parameters)
            except ServiceError as error:
                stable = self.instead(resolved, error)
                if stable is None:
                    raise
            return await self._answer(query, stable, parameters)

    async def _answer(self, query: Query, resolved: Resolved, parameters: Parameters) -> Answer:
        version = resolved.version
        with version.leases:
            prepared = await self._prepare(query, version.card.preprocess)
            begun = time.monotonic()
            inferred = await self._infer(query, version, [item.input for item in prepared])
            engine_s = time.monotonic() - begun
            results = await self._postprocess(query, version, parameters, prepared, inferred)
        if self.observer is not None and resolved.by_share:
            self.observer.answered(Computed(query, resolved, prepared, inferred, engine_s))
        return Answer(
            model=version.card.name,
            version=version.card.version,
            alias=resolved.alias,
            results=results,
            version_used=version,
            stand_in=max(item.stand_in for item in inferred),
        )

    def instead(self, resolved: Resolved, error: ServiceError) -> Resolved | None:
        """``stable``, where another version got the request by its share and could not answer: nobody asked for it."""
        if not resolved.by_share or error.kind not in FAULTS:
            return None
        if self.observer is not None:
            self.observer.failed(resolved, error)
        stable = self._registry.aliased(resolved.version.card.name)
        if stable is None or stable is resolved.version:
            return None
        return Resolved(stable, STABLE, by_share=True)

    async def resolve(
        self, task: Task | None, model: str | None, metadata: Mapping[str, str], deadline: float | None
    ) -> Resolved:
        """What a caller means, see `Registry.resolve`; a version that is out of memory is brought back into it."""
        try:
            return self._registry.resolve(task, model, metadata)
        except NotResident as error:
            away = error.version
        try:
            async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                await self._bring_back(away)
        except TimeoutError:
            raise deadline_exceeded("the deadline passed while the model was brought into memory") from None
        return self._registry.resolve(task, model, metadata)

    def task_of(self, model: str) -> Task | None:
        """See `Registry.task_of`."""
        return self._registry.task_of(model)

    @property
    def decode_limits(self) -> DecodeLimits:
        """The largest image that is decoded."""
        return self._limits

    @property
    def telemetry(self) -> Telemetry:
        """Where requests leave behind what happened."""
        return self._telemetry

    @property
    def most_in_request(self) -> int:
        """So many images a query may hold."""
        return self._admission.max_images

    @property
    def most_in_flight(self) -> int:
        """So many images are admitted at this moment."""
        return self._admission.limit

    @property
    def in_flight(self) -> int:
        """Images admitted and not yet answered."""
        return self._admission.in_flight

    def require_room(self, priority: Priority) -> None:
        """ServiceError (overloaded) where a query would surely be refused: its images need not even be read."""
        self._admission.require_room(priority)

    def permit(self, images: int, priority: Priority = Priority.NORMAL) -> Permit:
        """Admit so many images or refuse at once, see `Admission.permit`: without a permit nothing is decoded."""
        return self._admission.permit(images, priority)

    async def preprocess_frame(self, frame: Pixels, spec: PreprocessSpec) -> Pixels:
        """A frame RGB uint8 [H, W, 3] as clips have it, uint8 [height, width, 3]: once, whatever clips it is in."""
        return (await asyncio.get_running_loop().run_in_executor(self._workers, preprocess, frame, spec))[0]

    async def _prepare(self, query: Query, spec: PreprocessSpec) -> list[Prepared]:
        begun = time.monotonic()
        loop = asyncio.get_running_loop()

        # Frames need no decoding: a thread for each would cost more than it gains.
        if len(query.images) == 1 or not any(isinstance(image, bytes) for image in query.images):
            try:
                # The future gets no name: through this frame its error would refer to itself, and keep the image's
                # bytes until the garbage collector comes by.
                prepared = await loop.run_in_executor(self._workers, _prepare_in_turn, query, spec, self._limits)
            except (InvalidImage, ImageTooLarge) as error:
                raise _image_error(error, 0) from error
        else:
            budget = PixelBudget(self._max_pixels_per_request)
            prepared = await _all_or_first_failure(
                [
                    loop.run_in_executor(self._workers, prepare, image, spec, self._limits, query.deadline, budget)
                    for image in query.images
                ]
            )
        self._telemetry.count_pixels(query.task, sum(item.decoded_pixels for item in prepared))
        elapsed = time.monotonic() - begun
        decode_s, preprocess_s = sum(p.decode_s for p in prepared), sum(p.preprocess_s for p in prepared)
        # Several workers may have shared the work: then its stages are shown as shares of the time that passed.
        share = min(1.0, elapsed / max(decode_s + preprocess_s, 1e-9))
        query.stages.decode = decode_s * share
        query.stages.preprocess = preprocess_s * share
        query.stages.queue = max(0.0, elapsed - query.stages.decode - query.stages.preprocess)
        return prepared

    @staticmethod
    async def _infer(query: Query, version: LoadedVersion, images: list[Pixels]) -> list[Inferred]:
        begun = time.monotonic()
        if query.deadline is None:
            inferred = await version.engine.infer(images, None, query.flow)
        else:
            try:
                async with asyncio.timeout(max(0.0, query.deadline - begun)):
                    inferred = await version.engine.infer(images, query.deadline, query.flow)
            except TimeoutError:
                raise deadline_exceeded("the deadline passed before the model had answered") from None
        elapsed = time.monotonic() - begun
        query.stages.compute = min(elapsed, max(item.compute_s for item in inferred))
        query.stages.queue += elapsed - query.stages.compute
        return inferred

    async def _postprocess(
        self,
        query: Query,
        version: LoadedVersion,
        parameters: Parameters,
        prepared: list[Prepared],
        inferred: list[Inferred],
    ) -> list[Any]:
        begun = time.monotonic()
        # The version's own, but where it is to explain its answer.
        task = TASKS[query.task]

        def run() -> list[Any]:
            return [
                task.postprocess(answer.outputs, item.geometry, version.card, version.settings, parameters)
                for item, answer in zip(prepared, inferred, strict=True)
            ]

        try:
            if task.dense:
                results = await asyncio.get_running_loop().run_in_executor(self._workers, run)
            else:
                results = run()
        except InvalidParameter as error:
            raise invalid_parameters(str(error)) from error
        except UnusableOutput as error:
            raise ServiceError(ErrorKind.INTERNAL, f"{version.card.name}: {error}") from error
        query.stages.postprocess = time.monotonic() - begun
        return results


def parse_parameters(task: TaskDefinition, given: dict[str, Any]) -> Parameters:
    """Check a task's parameters; ServiceError (invalid_parameters) says which is wrong and how."""
    if not given:
        return task.parameters()
    try:
        return task.parameters.model_validate(given)
    except ValidationError as error:
        raise invalid_parameters(_explain(error, task)) from error


def _explain(error: ValidationError, task: TaskDefinition) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(field.alias or name for name, field in task.parameters.model_fields.items())
        return f"{task.task} has no parameter {name[:_SHOWN]!r}; it has {known}"
    return f"{name}: {first['msg']}"


_SHOWN = 64
"""Letters of a caller's own words that a message repeats."""


def prepare(
    image: bytes | Pixels,
    spec: PreprocessSpec,
    limits: DecodeLimits,
    deadline: float | None,
    budget: PixelBudget | None = None,
) -> Prepared:
    """Decode and preprocess one image, in a worker thread; raises InvalidImage, ImageTooLarge or ServiceError."""
    begun = time.monotonic()
    if deadline is not None and begun > deadline:
        raise deadline_exceeded("the deadline passed before the image was decoded")
    if spec.frames is not None:
        return _clip(image, spec)
    if isinstance(image, bytes):
        if budget is not None:
            budget.spend(0)
        pixels = decode(image, limits, trimap=spec.trimap)
        decoded_pixels = pixels.shape[0] * pixels.shape[1]
        if budget is not None:
            budget.spend(decoded_pixels)
    elif spec.trimap:
        raise InvalidImage("the model wants a trimap as the alpha channel, and a video's frame has none")
    else:
        pixels, decoded_pixels = image, 0
    decoded = time.monotonic()
    ready, geometry = preprocess(pixels, spec)
    done = time.monotonic()
    return Prepared(ready, geometry, decoded - begun, done - decoded, decoded_pixels)


def _prepare_in_turn(query: Query, spec: PreprocessSpec, limits: DecodeLimits) -> list[Prepared]:
    return [prepare(image, spec, limits, query.deadline) for image in query.images]


def _clip(frames: bytes | Pixels, spec: PreprocessSpec) -> Prepared:
    """A clip, whose frames are as the network takes them already; so its size is the network's."""
    if isinstance(frames, bytes) or frames.shape != spec.input_shape:
        raise InvalidImage(f"the model takes clips of {spec.frames} frames, and this is none")
    return Prepared(frames, Geometry.of(spec.width, spec.height, spec), 0.0, 0.0)


async def _all_or_first_failure(jobs: list[asyncio.Future[Prepared]]) -> list[Prepared]:
    """All results; or the failure of the first bad image, once none of the jobs runs any more."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    prepared: list[Prepared] = []
    for index, result in enumerate(results):
        if isinstance(result, InvalidImage | ImageTooLarge):
            raise _image_error(result, index) from result
        if isinstance(result, BaseException):
            try:
                raise result
            finally:
                # Else the error would refer to itself through this frame; see `_prepare`.
                del result, results, jobs
        prepared.append(result)
    return prepared


def _image_error(error: InvalidImage | ImageTooLarge, index: int) -> ServiceError:
    kind = ErrorKind.TOO_LARGE if isinstance(error, ImageTooLarge) else ErrorKind.INVALID_IMAGE
    return ServiceError(kind, f"image {index}: {error}")
