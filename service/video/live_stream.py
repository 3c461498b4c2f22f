"""One live stream: connect, take the latest frame, ask the model, tell the readers; and again when that is lost."""

import asyncio
import logging
import time
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from service.errors import ErrorKind, ServiceError, invalid_parameters
from service.video.followed import carried_fields
from service.video.lines import line_of, without_bytes
from service.video.live_address import AddressPolicy
from service.video.live_asking import PASSING, LiveAsking
from service.video.live_back_off import BackOff
from service.video.live_clock import StreamClock
from service.video.live_events import StreamEvents
from service.video.live_latest import LatestFrame, LiveFrame
from service.video.live_limits import LiveLimits
from service.video.live_picture import LivePicture
from service.video.live_readers import Readers
from service.video.live_request import LiveRequest
from service.video.live_sampling import LiveSampling
from service.video.live_source import LiveSource
from service.video.live_status import SOURCE_UNAVAILABLE, LiveCounts, LiveProblem, LiveState, LiveStatus
from service.video.opening import InvalidVideo, SourceUnavailable, VideoOptions, VideoTooLarge
from service.video.sampling import SampleMode
from service.video.source import VideoInfo
from service.video.speed import Speed
from service.video.track import LISTS, NotTrackable

_log = logging.getLogger("vitrail.video")

_SMOOTH = 0.1
"""The weight of the newest lag."""
_KEY_STALLS = 4.0


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What all streams of a service share."""

    options: VideoOptions
    limits: LiveLimits
    policy: AddressPolicy
    events: StreamEvents
    workers: Executor


@dataclass(slots=True, eq=False)
class LiveStream:
    """`run` it as a task; it ends by itself only where it can never work.

    Whatever ends it, at the end of `run` its thread, its connection and its readers are gone.
    """

    id: str
    owner: str
    """Who began it."""
    request: LiveRequest
    asking: LiveAsking
    parts: LiveParts
    state: LiveState = LiveState.CONNECTING
    problem: LiveProblem | None = None
    ended_s: float | None = None
    """A moment of `time.monotonic`."""
    picture: LivePicture | None = None
    """The last frame that a model has seen; None before, and after the end."""
    readers: Readers = field(init=False)
    _created_s: float = field(default_factory=time.time)
    _counts: LiveCounts = field(default_factory=LiveCounts)
    _told: tuple[int, int, int] = (0, 0, 0)
    _clock: StreamClock = field(default_factory=StreamClock)
    _speed: Speed = field(init=False)
    _sampling: LiveSampling = field(init=False)
    _back_off: BackOff = field(init=False)
    _info: VideoInfo | None = None
    _source: LiveSource | None = None
    _work: asyncio.Task[None] | None = None
    _ending: bool = False
    _connections: int = 0
    _invalid: int = 0
    """Connections in a row that gave no video."""
    _failures: int = 0
    """Frames in a row of which the model made nonsense."""
    _last: Mapping[str, Any] | None = None
    """What frames carry over."""
    _lag_s: float | None = None
    _arrived_s: float | None = None
    _tracks: int = 0

    def __post_init__(self) -> None:
        limits = self.parts.limits
        self.readers = Readers(limits)
        self._speed = Speed(time.monotonic(), 0)
        self._sampling = LiveSampling(self.request.sampled())
        self._back_off = BackOff(limits.first_pause_s, limits.longest_pause_s)

    async def run(self) -> None:
        """Work until the end; never raises. Returns when all is freed."""
        self.parts.events.entered(self.state)
        self._work = asyncio.create_task(self._work_on(), name=f"live stream {self.id}")
        if self._ending:
            self._work.cancel()
        await asyncio.wait([self._work])
        self._finish(self._work)
        if self._source is not None:
            await self._source.gone()
            self._source = None

    def end(self) -> None:
        """End it soon; may be repeated."""
        self._ending = True
        if self._work is not None:
            self._work.cancel()

    def status(self) -> LiveStatus:
        """How it stands."""
        now_s = time.monotonic()
        return LiveStatus(
            id=self.id,
            state=self.state,
            url=str(self.request.as_shown()["url"]),
            request=self.request.as_shown(),
            model=self.asking.model,
            created_s=self._created_s,
            source=self._info,
            received=self._counts.received,
            processed=self._counts.processed,
            carried=self._counts.carried,
            dropped=self._counts.dropped,
            frames_per_s=0.0 if self.state.over else self._speed.per_second(now_s),
            lag_s=self._lag_s,
            connections=self._connections,
            last_frame_s_ago=None if (last_s := self._last_arrival_s) is None else now_s - last_s,
            summary=self._summary(),
            problem=self.problem,
        )

    @property
    def _last_arrival_s(self) -> float | None:
        here_s = None if self._source is None else self._source.arrived_s
        return self._arrived_s if here_s is None else here_s

    def _summary(self) -> dict[str, Any]:
        return {} if self.asking.followed is None else {"tracks": self._tracks}

    async def _work_on(self) -> None:
        while True:
            # Before each connection: what is allowed may depend on more than the address.
            self.parts.policy.check(self.request.url)
            try:
                await self._connection()
            except SourceUnavailable as error:
                self._lost(str(error), SOURCE_UNAVAILABLE)
            except InvalidVideo as error:
                self._invalid += 1
                if self._invalid >= self.parts.limits.invalid_tries:
                    raise ServiceError(ErrorKind.INVALID_VIDEO, str(error)) from error
                self._lost(str(error), ErrorKind.INVALID_VIDEO)
            await self._disconnected()
            await asyncio.sleep(self._back_off.pause_s())

    async def _connection(self) -> None:
        """Connect and work on frames; SourceUnavailable, InvalidVideo or ServiceError at the end."""
        parts = self.parts
        latest = LatestFrame(self._sampling, self._counts, parts.workers)
        self._source = source = LiveSource(self.request.url, self._options(), latest, self._clock, self._counts)
        try:
            self._info = await source.opened()
            self._connected()
            begun_s = time.monotonic()
            while (frame := await self._next(source)) is not None:
                await self._answer(frame)
                self._tell_counts()
                if time.monotonic() - begun_s >= parts.limits.steady_s:
                    self._back_off.reset()
        except VideoTooLarge as error:
            raise ServiceError(ErrorKind.TOO_LARGE, str(error)) from error
        finally:
            source.interrupt()
            self._tell_counts()
        raise SourceUnavailable(source.problem)

    def _options(self) -> VideoOptions:
        limits = self.parts.limits
        return replace(
            self.parts.options,
            key_frames_only=self._keys_only,
            open_timeout_s=limits.open_timeout_s,
            read_timeout_s=limits.read_timeout_s,
        )

    @property
    def _keys_only(self) -> bool:
        return self.request.sampling.sample is SampleMode.KEY

    def _connected(self) -> None:
        self._connections += 1
        if self._connections > 1:
            self.parts.events.reconnected()
        self.problem = None
        self._enter(LiveState.RUNNING)

    def _lost(self, detail: str, code: str) -> None:
        self.problem = LiveProblem(code, detail)
        self._enter(LiveState.RECONNECTING if self._connections else LiveState.CONNECTING)

    async def _disconnected(self) -> None:
        """Wait until nothing is left of the connection: there are never two of one stream."""
        if self._source is not None:
            await self._source.gone()
            self._arrived_s, self._source = self._last_arrival_s, None

    def _enter(self, state: LiveState) -> None:
        if state is not self.state:
            self.state = state
            self.parts.events.entered(state)

    async def _next(self, source: LiveSource) -> LiveFrame | None:
        """The latest frame; None at the end. SourceUnavailable where none arrives, though the line may be busy."""
        patience_s = self.parts.limits.stall_s * (_KEY_STALLS if self._keys_only else 1.0)
        while True:
            received = self._counts.received
            try:
                async with asyncio.timeout(patience_s):
                    return await source.frame()
            except TimeoutError:
                if self._counts.received == received:
                    raise SourceUnavailable(f"no frame came for {patience_s:g} s") from None

    async def _answer(self, frame: LiveFrame) -> None:
        """Give a frame its line, if it has one."""
        self._invalid = 0
        if frame.pixels is None:
            if self._last is not None:
                self._counts.carried += 1
                self._publish(frame, carried_fields(self._last))
            return
        try:
            fields = await self._found(frame.pixels, frame.time_s)
        except ServiceError as error:
            self._sampling.again()
            self.problem = LiveProblem.of(error)
            if error.kind in PASSING:
                self._counts.unanswered += 1
                return
            fields = self._nonsense(error)
        else:
            self._failures, self.problem, self._last = 0, None, fields
        self._counts.processed += 1
        result = None if self._failures else fields
        self.picture = LivePicture(self.request.task, frame.pixels, result)
        self._publish(frame, fields)

    async def _found(self, pixels: Any, time_s: float) -> dict[str, Any]:
        result: dict[str, Any] = await self.asking.ask(pixels)
        if self.asking.followed is None:
            return result
        try:
            result = self.asking.followed.update(result, time_s)
        except NotTrackable as error:
            raise invalid_parameters(str(error)) from error
        ids = (item.get("track_id", 0) for name in LISTS for item in result.get(name, ()))
        self._tracks = max(self._tracks, *ids, 0)
        return result

    def _nonsense(self, error: ServiceError) -> dict[str, Any]:
        """One frame of which a model makes nonsense, such as a black one, does not end the stream; many do."""
        self._failures += 1
        if error.kind is not ErrorKind.INTERNAL or self._failures >= self.parts.limits.failures:
            raise error
        self._last = None
        return {"error": {"code": error.kind, "detail": error.message}}

    def _publish(self, frame: LiveFrame, fields: Mapping[str, Any]) -> None:
        now_s = time.monotonic()
        lag_s = now_s - frame.arrived_s + frame.late_s
        self._lag_s = lag_s if self._lag_s is None else self._lag_s + _SMOOTH * (lag_s - self._lag_s)
        self._speed.moved(now_s, self._counts.processed)
        self.parts.events.lag(lag_s)
        if self.readers:
            fields = {"lag_s": round(lag_s, 6), **without_bytes(fields)}
            line = line_of(frame.index, frame.time_s, fields, carried=frame.carried)
            self.readers.publish(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def _tell_counts(self) -> None:
        counts, told = self._counts, self._told
        self._told = counts.processed, counts.carried, counts.dropped
        more = [now - before for now, before in zip(self._told, told, strict=True)]
        if any(more):
            self.parts.events.frames(*more)

    def _finish(self, work: asyncio.Task[None]) -> None:
        """All that can be done at once: nobody waits for a thread here."""
        if self._ending or work.cancelled():
            self._enter(LiveState.ENDED)
        else:
            self.problem = self._failed(work)
            self._enter(LiveState.FAILED)
        self._arrived_s = self._last_arrival_s
        self.ended_s = time.monotonic()
        self.picture = self._last = None
        self.readers.end()

    def _failed(self, work: asyncio.Task[None]) -> LiveProblem:
        error = work.exception()
        if isinstance(error, ServiceError):
            if error.kind is ErrorKind.INTERNAL:
                _log.error("live stream %s failed: %s", self.id, error, exc_info=error)
            return LiveProblem.of(error)
        _log.error("live stream %s failed", self.id, exc_info=error)
        return LiveProblem(ErrorKind.INTERNAL, "the service made a mistake; its log tells more under this stream's id")
