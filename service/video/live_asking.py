"""Inference for live frames: asked once, and answered soon or not at all."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from contract.preprocess import Pixels
from contract.task import Task
from service.errors import ErrorKind, ServiceError
from service.inference import Inference, Query
from service.telemetry import Transport
from service.video import association
from service.video.appearance import ModelAppearance
from service.video.followed import Followed
from service.video.live_request import LiveRequest
from service.video.patient_inference import Patience
from service.video.reidentify import Reidentifier
from service.video.video_request import check_labels, score_threshold

PASSING = frozenset(
    {
        ErrorKind.OVERLOADED,
        ErrorKind.RATE_LIMITED,
        ErrorKind.DEADLINE_EXCEEDED,
        ErrorKind.VERSION_NOT_READY,
        ErrorKind.ENGINE_UNAVAILABLE,
    }
)
"""Kinds of error that cost a frame, not the stream."""
_LOOKS = 4
"""Pictures of a stream that an embed model is asked for at a time."""
_LEFT = frozenset({ErrorKind.MODEL_NOT_FOUND, ErrorKind.VERSION_NOT_READY})


@dataclass(slots=True, eq=False)
class LiveAsking:
    """Asks for one frame after another; which version answers is looked up once in a while, not for each frame."""

    inference: Inference
    request: LiveRequest
    stream_id: str
    frame_timeout_s: float
    model: tuple[str, int] | None = None
    """Name and version of what answers."""
    look_again_s: float = 10.0
    """Seconds until aliases and shares of traffic are followed that have changed."""
    followed: Followed | None = None
    """Who tracks and counts, where that is wanted; goes on where another version answers."""
    _parameters: dict[str, Any] = field(default_factory=dict)
    _looked_s: float = 0.0

    async def find_model(self) -> None:
        """Find the version that answers.

        Raises:
            ServiceError: model_not_found, version_not_ready, deadline_exceeded; invalid_parameters for a label that
                it does not know.
        """
        deadline = time.monotonic() + self.frame_timeout_s
        resolved = await self.inference.resolve(self.request.task, self.request.model, {}, deadline)
        version, track = resolved.version, self.request.track
        if self.request.reidentify is not None:
            await self.inference.resolve(Task.EMBED, self.request.reidentify.model, {}, deadline)
        check_labels(version.card, self.request.task, self.request.parameters)
        self._parameters = dict(self.request.parameters)
        if track is not None:
            await asyncio.to_thread(association.prepare)
            wanted = score_threshold(version, self.request)
            # What is less sure may carry on a track.
            self._parameters["score_threshold"] = track.detection_threshold(wanted)
            self.followed = self.followed or Followed(track, self.request.counts, wanted, self._recognising())
        self.model = version.card.name, version.card.version
        self._looked_s = time.monotonic()

    async def _look_again(self) -> None:
        """Follow what has changed; where nothing can answer in its stead, the version of before goes on."""
        self._looked_s = time.monotonic()
        with suppress(ServiceError):
            await self.find_model()

    def _recognising(self) -> Reidentifier | None:
        """Who recognises those that come back, if it is wanted."""
        wanted = self.request.reidentify
        if wanted is None:
            return None
        patience = Patience(turn_s=0.0, frame_timeout_s=self.frame_timeout_s, give_up_s=self.frame_timeout_s)
        appearance = ModelAppearance(
            self.inference,
            wanted.model,
            patience,
            request_id=self.stream_id,
            flow=self.stream_id,
            places=asyncio.Semaphore(_LOOKS),
            changed=lambda _: recogniser.forget_looks(),
        )
        recogniser = Reidentifier(appearance, wanted)
        return recogniser

    async def ask(self, pixels: Pixels) -> Any:
        """The result of one frame, RGB uint8 [H, W, 3], as the task's ``result`` type has it.

        Raises:
            ServiceError: one of PASSING, where the next frame may be answered; others, where none will.
        """
        if self.model is None:
            await self.find_model()
        elif time.monotonic() - self._looked_s >= self.look_again_s:
            await self._look_again()
        try:
            return await self._answer(pixels)
        except ServiceError as error:
            if error.kind not in _LEFT:
                raise
            # The version was taken away; the next frame looks for another.
            self.model = None
            raise ServiceError(ErrorKind.VERSION_NOT_READY, error.message) from error

    async def _answer(self, pixels: Pixels) -> Any:
        name, version = self.model or ("", 0)
        account = self.inference.telemetry.account(
            Transport.LIVE, self.request.task, self.stream_id, {}, "frame of a live stream"
        )
        query = Query(
            self.request.task,
            f"{name}:{version}",
            [pixels],
            dict(self._parameters),
            time.monotonic() + self.frame_timeout_s,
            account.stages,
            request_id=self.stream_id,
            flow=self.stream_id,
        )
        try:
            answer = await self.inference.predict(query)
        except ServiceError as error:
            account.refused(error)
            raise
        account.answered(answer.version_used.metrics, None, "200", 1)
        return answer.results[0]
