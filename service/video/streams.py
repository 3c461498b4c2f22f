"""The live streams of a service: begun, listed, ended, and never more than there may be."""

import asyncio
import logging
import time
from concurrent.futures import Executor

from service.errors import ErrorKind, ServiceError, overloaded
from service.inference import Inference
from service.video.job import new_job_id
from service.video.live_address import AddressPolicy
from service.video.live_asking import LiveAsking
from service.video.live_events import StreamEvents
from service.video.live_limits import LiveLimits
from service.video.live_request import LiveRequest
from service.video.live_stream import LiveParts, LiveStream
from service.video.opening import VideoOptions

_log = logging.getLogger("vitrail.video")

_RETRY_S = 10.0


class Streams:
    """All live streams, those included that have ended a short time ago."""

    def __init__(
        self,
        inference: Inference,
        options: VideoOptions,
        limits: LiveLimits,
        policy: AddressPolicy,
        workers: Executor,
        *,
        events: StreamEvents | None = None,
    ) -> None:
        """``workers`` make pixels of frames, as they do of images; ``limits`` have the timeouts, not ``options``."""
        self._inference, self._limits = inference, limits
        self._parts = LiveParts(options, limits, policy, events or StreamEvents.silent(), workers)
        self._streams: dict[str, LiveStream] = {}
        self._running: dict[asyncio.Task[None], LiveStream] = {}
        self._closing = False

    @property
    def running(self) -> int:
        """Streams that have not ended, or whose thread has not gone yet."""
        return len(self._running)

    @property
    def readers(self) -> int:
        """Of all streams."""
        return sum(len(stream.readers) for stream in self._streams.values())

    async def begin(self, request: LiveRequest, owner: str = "") -> LiveStream:
        """Begin one; what can be known at once is refused at once, the source is tried afterwards.

        Raises:
            ServiceError: forbidden for an address that is not allowed; rate_limited where the caller has too many,
                overloaded where all have or the service ends; model_not_found, version_not_ready, deadline_exceeded.
        """
        self._parts.policy.check(request.url)
        self._require_room(owner)
        asking = LiveAsking(self._inference, request, new_job_id(), self._limits.frame_timeout_s)
        await asking.find_model()
        # Others may have come meanwhile.
        self._require_room(owner)
        stream = LiveStream(owner, asking, self._parts)
        self._streams[stream.id] = stream
        running = asyncio.create_task(stream.run(), name=f"live stream {stream.id}, supervised")
        self._running[running] = stream
        running.add_done_callback(self._gone)
        return stream

    def get(self, stream_id: str) -> LiveStream | None:
        """The stream of that id; None if there is none, or none any more."""
        self._forget()
        return self._streams.get(stream_id)

    def all(self) -> list[LiveStream]:
        """All that are known, the newest first."""
        self._forget()
        return [*reversed(self._streams.values())]

    async def end(self, stream_id: str) -> bool:
        """End a stream, or forget one that is over. False if there is none of that id.

        Returns once all is freed; if its source is silent, after ``end_wait_s`` at the latest: then the thread goes
        by itself when the source's timeout is over, and has its place until then.
        """
        stream = self.get(stream_id)
        if stream is None:
            return False
        if stream.state.over:
            self._streams.pop(stream_id, None)
        stream.end()
        if tasks := [task for task, running in self._running.items() if running is stream]:
            await asyncio.wait(tasks, timeout=self._limits.end_wait_s)
        return True

    async def close(self, drain_s: float = 10.0) -> None:
        """End all streams, and wait so many seconds at most until they are gone; none is begun any more."""
        self._closing = True
        for stream in self._running.values():
            stream.end()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=drain_s)
            for task in late:
                _log.error("%s is not gone within %g s: its source is silent", task.get_name(), drain_s)
                task.cancel()

    def _require_room(self, owner: str) -> None:
        if self._closing:
            raise overloaded("the service ends")
        limits = self._limits
        if sum(stream.owner == owner for stream in self._running.values()) >= limits.streams_per_owner:
            why = f"you have {limits.streams_per_owner} live streams already; end one of them first"
            raise ServiceError(ErrorKind.RATE_LIMITED, why, retry_after_s=_RETRY_S)
        if len(self._running) >= limits.streams:
            raise overloaded(f"the service has {limits.streams} live streams already; one of them has to end first")

    def _gone(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("%s has ended in a way that it should not", task.get_name(), exc_info=error)

    def _forget(self) -> None:
        """Streams that are over are listed for a while."""
        over = [(stream.ended_s, stream.id) for stream in self._streams.values() if stream.ended_s is not None]
        oldest_s = time.monotonic() - self._limits.kept_s
        for place, (ended_s, stream_id) in enumerate(sorted(over, reverse=True)):
            if place >= self._limits.kept or ended_s < oldest_s:
                del self._streams[stream_id]
