"""Inference for work that nobody waits for: it gives way to callers, and waits where a caller would be refused."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contract.preprocess import Pixels
from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.inference import Inference, Query
from service.registry.version import LoadedVersion
from service.telemetry import Account, Transport
from service.video.setbacks import is_setback

_WAITED = frozenset(
    {ErrorKind.OVERLOADED, ErrorKind.RATE_LIMITED, ErrorKind.DEADLINE_EXCEEDED, ErrorKind.VERSION_NOT_READY}
)
"""Kinds of error that pass."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.25
_LOOK_S = 0.01
_PLACES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long work waits, in seconds."""

    busy_from: int = 32
    """While so many images are being answered, those of other callers included, no frame is added …"""
    turn_s: float = 1.0
    """… for so long; then it is, so that the work goes on under any load."""
    frame_timeout_s: float = 30.0
    """A frame that has no answer then is asked again; of several together, so long for each."""
    give_up_s: float = 300.0
    """A frame that has no answer then fails."""


@dataclass(slots=True)
class PatientInference:
    """Asks for one frame after another, all of one version, as long as that is there."""

    inference: Inference
    task: Task
    model: str | None
    parameters: Mapping[str, Any]
    patience: Patience
    request_id: str = ""
    changed: Callable[[str], None] = lambda _: None
    """Hears, in a sentence for the caller, that another version answers from now on."""
    flow: object = field(default_factory=object)
    """What its frames have in common, in the queue of the engine."""
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_PLACES))
    """So often it may be asked at a time; others of the same kind share them, so that callers have the rest."""
    _pinned: LoadedVersion | None = None
    _name: str = ""

    async def version(self) -> LoadedVersion:
        """The version that answers; waited for while models are being loaded.

        A caller's traffic may be divided among versions frame by frame; within one video it must not.

        Raises:
            ServiceError: model_not_found; version_not_ready after too long a wait.
        """
        until, pause_s = time.monotonic() + self.patience.give_up_s, _FIRST_PAUSE_S
        while True:
            try:
                return await self._pin()
            except ServiceError as error:
                if error.kind not in _WAITED or time.monotonic() + pause_s > until:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def ask(self, pixels: Pixels) -> Any:
        """The result of one frame or clip; see `ask_all`."""
        return (await self.ask_all([pixels]))[0]

    async def ask_all(self, frames: Sequence[Pixels]) -> list[Any]:
        """Results of frames, RGB uint8 [H, W, 3], or clips (see `Query.images`), as the task's ``result`` has them.

        Asking for a few together is cheaper than for each alone; an error of one is an error of all.

        Raises:
            ServiceError: the model cannot answer: engine_unavailable, internal, invalid_parameters and so on;
                overloaded and the like only after too long a wait.
        """
        until, pause_s = time.monotonic() + self.patience.give_up_s, _FIRST_PAUSE_S
        while True:
            await self._turn()
            async with self.places:
                account = self._account()
                try:
                    return await self._ask_once(frames, account)
                except ServiceError as error:
                    if not self._passes(error) or time.monotonic() + pause_s > until:
                        # Several of which one broke the answer are asked for again, each alone.
                        if len(frames) == 1 or not is_setback(error):
                            account.refused(error)
                        raise
                    alone = len(frames) > 1 and error.kind is ErrorKind.OVERLOADED
            if alone:
                # Where several find no room, one may: else they could wait until they are given up.
                return [await self.ask(frame) for frame in frames]
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _account(self) -> Account:
        return self.inference.telemetry.account(Transport.VIDEO, self.task, self.request_id, {}, "frame of a video")

    def _passes(self, error: ServiceError) -> bool:
        """Whether asking again may help; another version is asked where this one has left."""
        left = error.kind in {ErrorKind.MODEL_NOT_FOUND, ErrorKind.VERSION_NOT_READY} and self._pinned is not None
        if left:
            self._pinned = None
        return left or error.kind in _WAITED

    async def _turn(self) -> None:
        """Wait while the service is busy, but not for ever."""
        until = time.monotonic() + self.patience.turn_s
        while self._busy() and time.monotonic() < until:  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(_LOOK_S)

    def _busy(self) -> bool:
        """Whether callers need their half of what is admitted at this moment."""
        busy_from = min(self.patience.busy_from, max(1, self.inference.most_in_flight // 2))
        return self.inference.in_flight >= busy_from

    async def _pin(self) -> LoadedVersion:
        if self._pinned is None:
            deadline = time.monotonic() + self.patience.frame_timeout_s
            found = await self.inference.resolve(self.task, self.model, {}, deadline)
            # Another frame may have found one meanwhile.
            if self._pinned is None:
                self._pinned = found.version
                self._tell(f"{found.version.card.name}:{found.version.card.version}")
        return self._pinned

    def _tell(self, name: str) -> None:
        former, self._name = self._name, name
        if former and former != name:
            self.changed(f"{former} was taken away in the middle; {name} answered the rest")

    async def _ask_once(self, frames: Sequence[Pixels], account: Account) -> list[Any]:
        card = (await self._pin()).card
        deadline = time.monotonic() + self.patience.frame_timeout_s * len(frames)
        query = Query(
            self.task,
            f"{card.name}:{card.version}",
            frames,
            dict(self.parameters),
            deadline,
            account.stages,
            request_id=self.request_id,
            flow=self.flow,
        )
        answer = await self.inference.predict(query)
        account.answered(answer.version_used.metrics, None, "200", len(frames))
        return answer.results
