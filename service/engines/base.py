"""The seam behind which everything that runs a model sits: a session, a batcher around one, Triton, a test double."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from contract.preprocess import Pixels
from contract.tasks.definition import Outputs
from service.errors import ErrorKind, ServiceError


@dataclass(frozen=True, slots=True)
class Inferred:
    """One image's output tensors, without the batch axis, and how they came about."""

    outputs: Outputs
    queue_s: float
    """Seconds between arrival at the engine and the start of the computation."""
    compute_s: float
    """Seconds that the batch took in which the image was."""
    batch_size: int
    stand_in: str = ""
    """What answered because the engine was away; empty where the engine did."""


class EngineAway(ServiceError):
    """Nothing that runs the engine can be reached, so somebody else may be asked."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorKind.ENGINE_UNAVAILABLE, message, retry_after_s=1)


class Engine(Protocol):
    """Runs one version of a model."""

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes that may be sent, ascending from 1."""
        ...

    @property
    def concurrency(self) -> int:
        """How many batches run at the same time."""
        ...

    @property
    def healthy(self) -> bool:
        """Whether something that runs it can be reached, as far as is known."""
        ...

    async def infer(
        self, images: Sequence[Pixels], deadline: float | None = None, flow: Hashable | None = None
    ) -> list[Inferred]:
        """Run images uint8 [H, W, 3] of the version's input size; as many answers as images, in their order.

        ``deadline`` is a moment of `time.monotonic`; work that has not begun by then is not begun. ``flow`` is what
        all images of one stream have in common: where images wait here, no flow takes the turns of the others. Raises
        ServiceError (overloaded, deadline_exceeded, engine_unavailable).
        """
        ...

    def take_traffic(self) -> None:
        """It is proved and warm, and callers will wait for it; until now it may have given way to other engines."""
        ...

    async def close(self) -> None:
        """Finish what was accepted, then free everything."""
        ...
