"""The frames of a file, decoded and sampled in a thread of their own, a few ahead of who takes them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

from contract.preprocess import Pixels
from service.errors import ErrorKind, ServiceError
from service.priority import WORKING, patient_threads
from service.video.disk import to_its_end
from service.video.frame import Frame
from service.video.opening import InvalidVideo, SourceUnavailable, VideoOptions, VideoTooLarge
from service.video.sampling import Decision, Sampler
from service.video.source import VideoInfo, VideoSource

_AHEAD, _GROUPS_AHEAD = 2, 1
"""Frames, or groups of several, that are decoded before somebody takes them."""
_DROPPED_AT_ONCE = 32
"""Frames without a result that are passed over before the progress hears of them."""


@dataclass(frozen=True, slots=True)
class SampledFrame:
    """A frame, and what happens with it."""

    index: int
    time_s: float
    decision: Decision
    pixels: Pixels | None
    """RGB uint8 [H, W, 3], upright; None where nobody looks at them."""


@dataclass(frozen=True, slots=True)
class FeedStart:
    """Where reading begins: the first frame that is read has this number and this time."""

    index: int = 0
    time_s: float = 0.0


class FrameFeed:
    """``async with`` it, then iterate once, or ask for `several`. At its end nothing is left: no thread, no file.

    At most two frames are decoded ahead, or one group; of those that have no result only the last of some is given,
    unless pixels are wanted of all.

    Raises:
        ServiceError: invalid_video where it is no video; too_large.
    """

    def __init__(
        self,
        path: Path,
        options: VideoOptions,
        sampler: Sampler,
        *,
        start: FeedStart | None = None,
        processed_from: int = 0,
        all_pixels: bool = False,
    ) -> None:
        """No model sees frames before ``processed_from``; what none sees has no pixels, unless ``all_pixels``."""
        self._path, self._options, self._sampler = path, options, sampler
        self._start, self._processed_from, self._all_pixels = start or FeedStart(), processed_from, all_pixels
        self._pool = patient_threads(1, "video", WORKING)
        self._ahead: deque[asyncio.Future[list[SampledFrame]]] = deque()
        self._source: VideoSource | None = None
        self._frames: Iterator[Frame] = iter(())
        self._interrupted = False
        self._failure: ServiceError | None = None
        """What came behind frames that were good."""

    async def __aenter__(self) -> Self:
        try:
            await to_its_end(asyncio.get_running_loop().run_in_executor(self._pool, self._open))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    @property
    def info(self) -> VideoInfo:
        """What the video says of itself."""
        return self._opened.info

    @property
    def problems(self) -> list[str]:
        """What could not be read; complete at the end."""
        return self._opened.problems

    def __aiter__(self) -> AsyncIterator[SampledFrame]:
        return self

    async def __anext__(self) -> SampledFrame:
        frames = await self.several(1)
        if not frames:
            raise StopAsyncIteration
        return frames[0]

    async def several(self, most: int) -> list[SampledFrame]:
        """The next frames; none at the end. They come from their thread together, which is cheaper than one by one."""
        loop = asyncio.get_running_loop()
        while len(self._ahead) <= (_AHEAD if most == 1 else _GROUPS_AHEAD):
            self._ahead.append(loop.run_in_executor(self._pool, self._next_several, most))
        return await self._ahead.popleft()

    @property
    def _opened(self) -> VideoSource:
        if self._source is None:
            raise RuntimeError("the video is not open")
        return self._source

    async def _close(self) -> None:
        """Stop reading soon; the file is freed by the thread that reads it."""
        self._interrupted = True
        while self._ahead:
            future = self._ahead.popleft()
            if not future.cancel():
                future.exception()  # seen, so that nobody complains of it
        if self._source is not None:
            self._source.interrupt()
        try:
            await to_its_end(asyncio.get_running_loop().run_in_executor(self._pool, self._free))
        finally:
            self._pool.shutdown()

    def _open(self) -> None:
        try:
            self._source = VideoSource(self._path, self._options)
        except VideoTooLarge as error:
            raise ServiceError(ErrorKind.TOO_LARGE, str(error)) from error
        except (InvalidVideo, SourceUnavailable) as error:
            raise _unreadable(error) from error
        self._frames = self._source.frames(from_s=self._start.time_s, from_index=self._start.index)

    def _free(self) -> None:
        self._frames = iter(())
        if self._source is not None:
            self._source.close()

    def _next_several(self, most: int) -> list[SampledFrame]:
        """The next frames, in the thread; fewer before a stretch without results, and at the end."""
        if self._failure is not None:
            raise self._failure
        frames: list[SampledFrame] = []
        try:
            while len(frames) < most and (frame := self._next()) is not None:
                frames.append(frame)
                if frame.decision is Decision.DROP:
                    break
        except ServiceError as error:
            if not frames:
                raise
            self._failure = error
        return frames

    def _next(self) -> SampledFrame | None:
        """The next frame that somebody wants, in the thread; None at the end."""
        last: Frame | None = None
        try:
            for frame in islice(self._frames, _DROPPED_AT_ONCE):
                decision = self._sampler.decide(frame)
                last = frame
                if self._interrupted:
                    return None
                if decision is not Decision.DROP or self._all_pixels:
                    return self._sampled(frame, decision)
        except InvalidVideo as error:
            raise _unreadable(error) from error
        return None if last is None else SampledFrame(last.index, last.time_s, Decision.DROP, None)

    def _sampled(self, frame: Frame, decision: Decision) -> SampledFrame:
        processed = decision is Decision.PROCESS and frame.index >= self._processed_from
        wanted = processed or self._all_pixels
        return SampledFrame(frame.index, frame.time_s, decision, frame.pixels() if wanted else None)


def _unreadable(error: ValueError | ConnectionError) -> ServiceError:
    return ServiceError(ErrorKind.INVALID_VIDEO, str(error))
