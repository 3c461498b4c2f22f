"""One live stream, supervised: connect, take the latest frame, have it answered; and again when the source is lost."""

import asyncio
import logging
import time
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from service.errors import ErrorKind, ServiceError
from service.video.live_address import AddressPolicy
from service.video.live_answers import LiveAnswers
from service.video.live_asking import LiveAsking
from service.video.live_back_off import BackOff
from service.video.live_clock import StreamClock
from service.video.live_events import StreamEvents
from service.video.live_latest import LatestFrame, LiveFrame
from service.video.live_limits import LiveLimits
from service.video.live_picture import LivePicture
from service.video.live_readers import Readers
from service.video.live_sampling import LiveSampling
from service.video.live_source import LiveSource
from service.video.live_status import SOURCE_UNAVAILABLE, LiveProblem, LiveState, LiveStatus
from service.video.opening import InvalidVideo, SourceUnavailable, VideoOptions, VideoTooLarge
from service.video.sampling import SampleMode
from service.video.source import VideoInfo

_log = logging.getLogger("vitrail.video")

_KEY_STALLS = 4.0
"""Key frames are rare: so many times as long a pause is no stall."""


@dataclass(frozen=True, slots=True)
class LiveParts:
    """What all streams of a service share."""

    options: VideoOptions
    limits: LiveLimits
    policy: AddressPolicy
    events: StreamEvents
    workers: Executor


class LiveStream:
    """`run` it as a task; it ends by itself only where it can never work.

    Whatever ends it, at the end of `run` its thread, its connection, its decoder and its readers are gone.
    """

    def __init__(self, owner: str, asking: LiveAsking, parts: LiveParts) -> None:
        """``asking`` has its model; ``owner`` begins the stream."""
        limits = parts.limits
        self.id, self.owner = asking.stream_id, owner
        self.state = LiveState.CONNECTING
        self.ended_s: float | None = None
        """A moment of `time.monotonic`."""
        self._parts, self._asking, self._request = parts, asking, asking.request
        self._sampling = LiveSampling(asking.request.sampled())
        self._answers = LiveAnswers(asking, self._sampling, limits, parts.events)
        self._clock = StreamClock()
        self._back_off = BackOff(limits.first_pause_s, limits.longest_pause_s)
        self._created_s = time.time()
        self._problem: LiveProblem | None = None
        self._info: VideoInfo | None = None
        self._source: LiveSource | None = None
        self._arrived_s: float | None = None
        """When the last frame of the connections before came."""
        self._connections = 0
        self._invalid = 0
        """Connections that gave no video, before one did."""
        self._work: asyncio.Task[None] | None = None
        self._ending = False

    @property
    def readers(self) -> Readers:
        """Those of its results."""
        return self._answers.readers

    @property
    def picture(self) -> LivePicture | None:
        """The last frame that a model has seen; None before, and after the end."""
        return self._answers.picture

    async def run(self) -> None:
        """Work until the end; never raises. Returns when all is freed."""
        self._parts.events.entered(self.state)
        self._work = asyncio.create_task(self._connect_again_and_again(), name=f"live stream {self.id}")
        if self._ending:
            self._work.cancel()
        await asyncio.wait([self._work])
        self._finish(self._work)
        # Its error would hold on to what the work had in hand.
        self._work = None
        await self._disconnected()

    def end(self) -> None:
        """End it soon; may be repeated."""
        self._ending = True
        if self._work is not None:
            self._work.cancel()

    def status(self) -> LiveStatus:
        """How it stands."""
        counts, request = self._answers.counts, self._request.as_shown()
        arrived_s = self._last_arrival_s
        return LiveStatus(
            id=self.id,
            state=self.state,
            url=request["url"],
            request=request,
            model=self._asking.model,
            created_s=self._created_s,
            source=self._info,
            received=counts.received,
            processed=counts.processed,
            carried=counts.carried,
            dropped=counts.dropped,
            frames_per_s=0.0 if self.state.over else self._answers.frames_per_s(),
            lag_s=self._answers.lag_s,
            connections=self._connections,
            last_frame_s_ago=None if arrived_s is None else time.monotonic() - arrived_s,
            summary=self._answers.summary(),
            problem=self._problem or self._answers.problem,
        )

    async def _connect_again_and_again(self) -> None:
        while True:
            # Before each connection: what is allowed may depend on more than the address.
            self._parts.policy.check(self._request.url)
            try:
                await self._require_reachable()
                await self._watch()
            except SourceUnavailable as error:
                self._lost(str(error), SOURCE_UNAVAILABLE)
            except InvalidVideo as error:
                self._invalid += 1
                # Where there was video before there will be again: what comes now is a camera that wakes up.
                if not self._connections and self._invalid >= self._parts.limits.invalid_tries:
                    raise ServiceError(ErrorKind.INVALID_VIDEO, str(error)) from error
                self._lost(str(error), ErrorKind.INVALID_VIDEO)
            except VideoTooLarge as error:
                raise ServiceError(ErrorKind.TOO_LARGE, str(error)) from error
            # There are never two connections of one stream.
            await self._disconnected()
            self._answers.disconnected()
            await asyncio.sleep(self._back_off.pause_s())

    async def _require_reachable(self) -> None:
        """SourceUnavailable where nobody knows the source's name, the policy's ServiceError where it leads astray."""
        try:
            await self._parts.policy.address(self._request.url)
        except OSError as error:
            raise SourceUnavailable("nobody knows the name of the source") from error

    async def _watch(self) -> None:
        """Connect and have frames answered; always ends with an error."""
        answers = self._answers
        latest = LatestFrame(self._sampling, answers.counts, self._parts.workers)
        source = LiveSource(self._request.url, self._options(), latest, self._clock, answers.counts)
        self._source = source
        try:
            self._info = await source.opened()
            self._connected()
            steady_s = time.monotonic() + self._parts.limits.steady_s
            while (frame := await self._next(source)) is not None:
                await answers.answer(frame)
                if time.monotonic() >= steady_s:
                    self._back_off.reset()
        finally:
            source.interrupt()
            answers.tell_counts()
        raise SourceUnavailable(source.problem)

    def _options(self) -> VideoOptions:
        limits = self._parts.limits
        return replace(
            self._parts.options,
            key_frames_only=self._keys_only,
            open_timeout_s=limits.open_timeout_s,
            read_timeout_s=limits.read_timeout_s,
        )

    @property
    def _keys_only(self) -> bool:
        return self._request.sampling.sample is SampleMode.KEY

    async def _next(self, source: LiveSource) -> LiveFrame | None:
        """The latest frame; None at the end. SourceUnavailable where none arrives, though the line may be busy."""
        patience_s = self._parts.limits.stall_s * (_KEY_STALLS if self._keys_only else 1.0)
        while True:
            received = self._answers.counts.received
            try:
                async with asyncio.timeout(patience_s):
                    return await source.frame()
            except TimeoutError:
                if self._answers.counts.received == received:
                    raise SourceUnavailable(f"no frame came for {patience_s:g} s") from None

    def _connected(self) -> None:
        self._connections += 1
        if self._connections > 1:
            self._parts.events.reconnected()
        self._problem = None
        self._enter(LiveState.RUNNING)

    def _lost(self, detail: str, code: str) -> None:
        self._problem = LiveProblem(code, detail)
        self._enter(LiveState.RECONNECTING if self._connections else LiveState.CONNECTING)

    async def _disconnected(self) -> None:
        """Wait until nothing is left of the connection."""
        if self._source is not None:
            await self._source.gone()
            self._arrived_s, self._source = self._last_arrival_s, None

    @property
    def _last_arrival_s(self) -> float | None:
        here_s = None if self._source is None else self._source.arrived_s
        return self._arrived_s if here_s is None else here_s

    def _enter(self, state: LiveState) -> None:
        if state is not self.state:
            self.state = state
            _log.info("live stream %s is %s%s", self.id, state, f": {self._problem.detail}" if self._problem else "")
            self._parts.events.entered(state)

    def _finish(self, work: asyncio.Task[None]) -> None:
        """All that can be done at once: nobody waits for a thread here."""
        failed = None if work.cancelled() else self._why(work)
        if self._ending or failed is None:
            self._enter(LiveState.ENDED)
        else:
            self._problem = failed
            self._enter(LiveState.FAILED)
        self.ended_s = time.monotonic()
        self._answers.finish()

    def _why(self, work: asyncio.Task[None]) -> LiveProblem:
        error = work.exception()
        if isinstance(error, ServiceError):
            if error.kind is ErrorKind.INTERNAL:
                _log.error("live stream %s failed: %s", self.id, error, exc_info=error)
            return LiveProblem.of(error)
        _log.error("live stream %s failed", self.id, exc_info=error)
        return LiveProblem(ErrorKind.INTERNAL, "the service made a mistake; its log tells more under this stream's id")
