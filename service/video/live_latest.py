"""A queue of one between the thread that reads a live source and the event loop: the latest frame, and no other."""

import asyncio
import threading
from concurrent.futures import Executor
from dataclasses import dataclass

from contract.preprocess import Pixels
from service.video.frame import Frame
from service.video.live_sampling import LiveSampling
from service.video.live_status import LiveCounts
from service.video.sampling import Decision


@dataclass(frozen=True, slots=True)
class Arrived:
    """A frame that has left the decoder."""

    frame: Frame
    """Its number and time are those of the stream, over all connections."""
    arrived_s: float
    """A moment of `time.monotonic`."""
    late_s: float
    """How far the source lags behind its own times."""


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame that is to have a result."""

    index: int
    """From 0, counting all frames that were received, over all connections."""
    time_s: float
    """Seconds since the first frame of the first connection."""
    arrived_s: float
    late_s: float
    carried: bool
    """It has the result of the one before."""
    pixels: Pixels | None
    """RGB uint8 [H, W, 3], upright; None where it is carried."""


class LatestFrame:
    """One thread offers frames, one task takes them; neither waits for the other.

    A frame for which somebody waits is sampled and made into pixels in the thread that offers it; one that was kept is
    by a worker. So pixels are made only of frames that a model sees, and never in the event loop.
    """

    def __init__(self, sampling: LiveSampling, counts: LiveCounts, workers: Executor) -> None:
        """To be made in the event loop."""
        self._sampling, self._counts, self._workers = sampling, counts, workers
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._kept: Arrived | None = None
        self._waiting: asyncio.Future[LiveFrame | None] | None = None
        self._ended = False

    def offer(self, arrived: Arrived) -> None:
        """Hand a frame over, or keep it instead of the last one; from the thread."""
        with self._lock:
            waiting = self._waiting
            if waiting is None:
                self._keep(arrived)
                return
        frame = self._looked_at(arrived)
        if frame is not None:
            self._hand(waiting, frame)

    def end(self) -> None:
        """No more frames come; from the thread, or from the loop where no thread is left."""
        with self._lock:
            self._ended = True
            waiting = self._waiting
        if waiting is not None:
            self._hand(waiting, None)

    async def take(self) -> LiveFrame | None:
        """The latest frame that is to have a result, as soon as there is one; None once no more come."""
        while True:
            with self._lock:
                kept, self._kept = self._kept, None
                if kept is None:
                    if self._ended:
                        return None
                    waiting: asyncio.Future[LiveFrame | None] = self._loop.create_future()
                    self._waiting = waiting
                    break
            frame = await self._by_worker(kept)
            if frame is not None:
                return frame
        try:
            return await waiting
        finally:
            with self._lock:
                self._waiting = None

    async def _by_worker(self, arrived: Arrived) -> LiveFrame | None:
        return await self._loop.run_in_executor(self._workers, self._looked_at, arrived)

    def _keep(self, arrived: Arrived) -> None:
        if self._sampling.would_drop(arrived.frame):
            return
        if self._kept is not None and not self._sampling.replaces(arrived.frame, self._kept.frame):
            self._counts.superseded += 1
        self._kept = arrived

    def _looked_at(self, arrived: Arrived) -> LiveFrame | None:
        """The frame as the loop gets it; None where sampling leaves it out."""
        frame = arrived.frame
        decision = self._sampling.decide(frame)
        if decision is Decision.DROP:
            return None
        carried = decision is Decision.CARRY
        pixels = None if carried else frame.pixels()
        return LiveFrame(frame.index, frame.time_s, arrived.arrived_s, arrived.late_s, carried, pixels)

    def _hand(self, waiting: "asyncio.Future[LiveFrame | None]", frame: LiveFrame | None) -> None:
        with self._lock:
            if self._waiting is waiting:
                # What comes before the loop takes notice is kept.
                self._waiting = None
        self._loop.call_soon_threadsafe(_answer, waiting, frame)


def _answer(waiting: "asyncio.Future[LiveFrame | None]", frame: LiveFrame | None) -> None:
    if not waiting.done():
        waiting.set_result(frame)
