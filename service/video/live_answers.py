"""The results of a live stream: frames in, lines for its readers out, and what is known of how that goes."""

import time
from collections.abc import Mapping
from typing import Any

import orjson

from contract.preprocess import Pixels
from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.video.followed import carried_fields
from service.video.lines import line_of, without_bytes
from service.video.live_asking import PASSING, LiveAsking
from service.video.live_events import StreamEvents
from service.video.live_latest import LiveFrame
from service.video.live_limits import LiveLimits
from service.video.live_picture import LivePicture
from service.video.live_readers import Readers
from service.video.live_sampling import LiveSampling
from service.video.live_status import LiveCounts, LiveProblem
from service.video.speed import Speed
from service.video.summary import Tally
from service.video.track import LISTS, NotTrackable

_SMOOTH = 0.1
"""The weight of the newest lag."""


class LiveAnswers:
    """Of one stream, over all its connections; not for use by two tasks at a time."""

    def __init__(self, asking: LiveAsking, sampling: LiveSampling, limits: LiveLimits, events: StreamEvents) -> None:
        self.counts = LiveCounts()
        self.readers = Readers(limits)
        self.picture: LivePicture | None = None
        """The last frame that a model has seen; None before, and after the end."""
        self.problem: LiveProblem | None = None
        """Why the last frame has no result."""
        self.lag_s: float | None = None
        """From a frame's arrival to its line, smoothed; plus what its source lags behind its own times."""
        self._asking, self._sampling, self._events = asking, sampling, events
        self._most_failures = limits.failures
        self._failures = 0
        """Frames in a row of which the model made nonsense."""
        self._last: Mapping[str, Any] | None = None
        """What frames carry over."""
        self._last_s = 0.0
        """The time of the last frame that was tracked."""
        self._told = (0, 0, 0)
        self._tally = Tally(asking.request.counts)
        self._speed = Speed(time.monotonic(), 0)

    async def answer(self, frame: LiveFrame) -> None:
        """Give a frame its line, if it has one.

        Raises:
            ServiceError: no frame of this stream will have a result.
        """
        try:
            fields = await self._fields(frame)
        except ServiceError as error:
            self._sampling.again()
            self.problem = LiveProblem.of(error)
            if error.kind not in PASSING:
                raise
            self.counts.unanswered += 1
            fields = None
        if fields is not None:
            self._publish(frame, fields)
        self.tell_counts()

    def disconnected(self) -> None:
        """The next frame comes after a gap: it has a result of its own, and takes up no track that is over by then.

        Tracking looks for what was in the last frame in the next one, however much later that is. So it is told of a
        moment in which nothing was seen.
        """
        self._sampling.again()
        if self._asking.followed is not None and self._last is not None:
            nothing = {**self._last, **{name: [] for name in LISTS if name in self._last}}
            self._asking.followed.update(nothing, self._last_s)

    def tell_counts(self) -> None:
        """Let others know of the frames since the last time."""
        counts, told = self.counts, self._told
        self._told = counts.processed, counts.carried, counts.dropped
        processed, carried, dropped = (now - before for now, before in zip(self._told, told, strict=True))
        if processed or carried or dropped:
            self._events.frames(processed, carried, dropped)

    def finish(self) -> None:
        """No more frames come: readers get what waits for them, and no more."""
        self.tell_counts()
        self.picture = self._last = None
        self.readers.end()

    def frames_per_s(self) -> float:
        """Results of the last seconds that the model gave, a second."""
        return self._speed.per_second(time.monotonic())

    def summary(self) -> dict[str, Any]:
        """What was found in all frames together; with tracking only."""
        return {} if self._asking.followed is None else self._tally.facts()

    async def _fields(self, frame: LiveFrame) -> Mapping[str, Any] | None:
        """What a frame's line says; None where it has none."""
        if frame.pixels is None:
            self.counts.carried += self._last is not None
            return None if self._last is None else await self._carried(self._last, frame.time_s)
        try:
            fields = await self._found(frame.pixels, frame.time_s)
        except ServiceError as error:
            if error.kind is not ErrorKind.INTERNAL:
                raise
            fields = self._nonsense(error)
        else:
            self._failures, self.problem, self._last = 0, None, fields
        self.counts.processed += 1
        self.picture = LivePicture(self._asking.request.task, frame.pixels, self._last)
        return fields

    async def _carried(self, last: Mapping[str, Any], time_s: float) -> Mapping[str, Any]:
        followed = self._asking.followed
        if followed is None:
            return carried_fields(last)
        self._last, self._last_s = await followed.carry(time_s, last), time_s
        return self._last

    async def _found(self, pixels: Pixels, time_s: float) -> Mapping[str, Any]:
        result: Mapping[str, Any] = await self._asking.ask(pixels)
        if self._asking.followed is None:
            return result
        try:
            result = await self._asking.followed.seen(result, pixels, time_s)
        except NotTrackable as error:
            raise invalid_parameters(str(error)) from error
        self._last_s = time_s
        self._tally.add(result)
        return result

    def _nonsense(self, error: ServiceError) -> Mapping[str, Any]:
        """One frame of which a model makes nonsense, such as a black one, does not end the stream; many do."""
        self._failures += 1
        if self._failures >= self._most_failures:
            raise error
        self._sampling.again()
        self._last, self.problem = None, LiveProblem.of(error)
        return {"error": {"code": error.kind, "detail": error.message}}

    def _publish(self, frame: LiveFrame, fields: Mapping[str, Any]) -> None:
        now_s = time.monotonic()
        lag_s = now_s - frame.arrived_s + frame.late_s
        self.lag_s = lag_s if self.lag_s is None else self.lag_s + _SMOOTH * (lag_s - self.lag_s)
        self._speed.moved(now_s, self.counts.processed)
        self._events.lag(lag_s)
        if self.readers:
            fields = {"lag_s": round(lag_s, 6), **without_bytes(fields)}
            line = line_of(frame.index, frame.time_s, fields, carried=frame.carried)
            self.readers.publish(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
