"""What a call says, what its answer holds, and what every transport can do."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NotRequired, Protocol, TypedDict, TypeVar

from vitrail_client._connection import AsyncRest, Rest
from vitrail_client._tasks import Task
from vitrail_client.schemas import ModelUsed

Result = TypeVar("Result")
Form = Literal["png", "jpeg"]


@dataclass(frozen=True, slots=True)
class Call:
    """A question to the service."""

    task: Task
    images: list[bytes]
    """Encoded."""
    model: str | None
    parameters: Mapping[str, Any]
    """By the service's names; None for the service's default."""

    @classmethod
    def of(cls, task: Task, images: list[bytes], model: str | None, parameters: Mapping[str, Any]) -> "Call":
        """A call with parameters by their names in Python: ``class_`` for ``class``."""
        return cls(task, images, model, {name.removesuffix("_"): value for name, value in parameters.items()})


class Answer(TypedDict, Generic[Result]):
    """The whole answer to a call."""

    model: ModelUsed
    results: list[Result]
    """One an image, in their order."""
    timings_ms: dict[str, float]
    """Milliseconds by stage, and in all."""
    request_id: str


class FrameProblem(TypedDict):
    """Why there is no result for a frame; ``code`` as in `VitrailError`."""

    code: str
    message: str


class FrameAnswer(TypedDict):
    """The answer for one frame of a stream: either ``result`` or ``error`` is there."""

    frame: int
    """The frame's place in the stream, from 0."""
    model: NotRequired[ModelUsed]
    timings_ms: NotRequired[dict[str, float]]
    result: NotRequired[Any]
    error: NotRequired[FrameProblem]


class Transport(Protocol):
    """A way to the service. Each method raises `VitrailError`; times are seconds."""

    def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """The typed answer."""

    def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """The answer drawn on the call's only image, encoded."""

    def stream(self, call: Call, frames: Iterator[bytes]) -> Generator[FrameAnswer, None, None]:
        """An answer for each frame, in their order; the call has no images."""

    def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """The models as the service describes them."""

    def ready(self, timeout_s: float) -> bool:
        """Whether requests will be answered."""

    @property
    def rest(self) -> Rest:
        """For what there is over REST only."""

    def close(self) -> None:
        """Let go of connections."""


class AsyncTransport(Protocol):
    """`Transport`, asynchronous."""

    async def answer(self, call: Call, timeout_s: float) -> Answer[Any]:
        """See `Transport.answer`."""

    async def draw(self, call: Call, form: Form, timeout_s: float) -> bytes:
        """See `Transport.draw`."""

    def stream(self, call: Call, frames: AsyncIterator[bytes]) -> AsyncGenerator[FrameAnswer, None]:
        """See `Transport.stream`."""

    async def models(self, timeout_s: float) -> list[dict[str, Any]]:
        """See `Transport.models`."""

    async def ready(self, timeout_s: float) -> bool:
        """See `Transport.ready`."""

    @property
    def rest(self) -> AsyncRest:
        """See `Transport.rest`."""

    async def close(self) -> None:
        """See `Transport.close`."""
