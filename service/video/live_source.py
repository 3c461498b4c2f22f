"""One connection to a live source, read in a thread of its own that keeps nothing but the latest frame."""

import asyncio
import threading
import time
from typing import Any

from service.priority import WORKING, patient_threads
from service.video.frame import Frame
from service.video.live_clock import Backlog, Pace, StreamClock
from service.video.live_latest import Arrived, LatestFrame, LiveFrame
from service.video.live_status import LiveCounts
from service.video.opening import SourceUnavailable, VideoOptions
from service.video.source import VideoInfo, VideoSource


class LiveSource:
    """Begins to connect when it is made; at its end, once `gone` has returned, nothing of it is left.

    FFmpeg cannot be disturbed while it waits for the line, so the thread notices an interruption when something comes,
    or after the timeouts of the options.
    """

    def __init__(
        self, url: str, options: VideoOptions, latest: LatestFrame, clock: StreamClock, counts: LiveCounts
    ) -> None:
        """To be made in the event loop. ``clock`` and ``counts`` go on from one connection to the next."""
        self._url, self._options = url, options
        self._latest, self._clock, self._counts = latest, clock, counts
        self.problem = ""
        """Why frames have ended, for the caller."""
        self.arrived_s: float | None = None
        """When the last frame came."""
        self._backlog, self._pace = Backlog(), Pace()
        self._lock = threading.Lock()
        self._interrupted = threading.Event()
        self._source: VideoSource | None = None
        self._loop = asyncio.get_running_loop()
        self._info: asyncio.Future[VideoInfo] = self._loop.create_future()
        self._pool = patient_threads(1, "live", WORKING)
        self._reading = self._loop.run_in_executor(self._pool, self._read)

    async def opened(self) -> VideoInfo:
        """What the source says of itself, once its first frame is there.

        Raises:
            SourceUnavailable: it cannot be reached, or says nothing.
            InvalidVideo: it is no video, or none of it can be decoded.
            VideoTooLarge: its frames are too large.
        """
        either: list[asyncio.Future[Any]] = [self._info, self._reading]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self._info.done():
            self._reading.result()
            raise SourceUnavailable("the connection was given up before it was open")
        return self._info.result()

    async def frame(self) -> LiveFrame | None:
        """The latest frame, as soon as there is one; None at the end, and `problem` says why.

        Raises:
            InvalidVideo: the source cannot be read on.
        """
        frame = await self._latest.take()
        if frame is None:
            # Not awaited by itself, for who is cancelled then would cancel it.
            await asyncio.wait([self._reading])
            self._reading.result()
        return frame

    def interrupt(self) -> None:
        """End it soon."""
        with self._lock:
            self._interrupted.set()
            if self._source is not None:
                self._source.interrupt()

    async def gone(self) -> None:
        """Wait until the thread has freed everything and ended."""
        await asyncio.wait([self._reading])
        self._reading.exception()  # seen, so that nobody complains of it
        self._info.cancel()
        # It has nothing left to do: this takes no time.
        self._pool.shutdown()

    def _read(self) -> None:
        try:
            with VideoSource(self._url, self._options) as source:
                if self._begin(source):
                    self._read_on(source)
        finally:
            self._latest.end()

    def _begin(self, source: VideoSource) -> bool:
        """Let others know of the source; False where nobody wants it any more."""
        with self._lock:
            self._source = source
            if self._interrupted.is_set():
                return False
        self._clock.connected()
        self._loop.call_soon_threadsafe(self._tell, source.info)
        return True

    def _tell(self, info: VideoInfo) -> None:
        if not self._info.done():
            self._info.set_result(info)

    def _read_on(self, source: VideoSource) -> None:
        clockless = source.info.clockless
        for frame in source.frames():
            now_s = time.monotonic()
            time_s = now_s if clockless else frame.time_s
            self._latest.offer(self._arrived(frame, time_s, now_s))
            if (wait_s := self._pace.wait_s(time_s, now_s)) > 0:
                self._interrupted.wait(wait_s)
        self.problem = source.problems[-1] if source.problems else "the source ended"

    def _arrived(self, frame: Frame, time_s: float, now_s: float) -> Arrived:
        late_s = self._backlog.late_s(time_s, now_s)
        placed = Frame(self._counts.received, self._clock.at(time_s, now_s), frame.key, frame.decoded, frame.turn)
        self._counts.received += 1
        self.arrived_s = now_s
        return Arrived(placed, now_s, late_s)
