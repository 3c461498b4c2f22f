"""The clips of a video, one after another: a frame in them is preprocessed once, and kept while a window needs it."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from contract.preprocess import Pixels
from contract.tasks.definition import ImageSize
from service.video.frame_feed import FeedStart, FrameFeed
from service.video.sampling import Decision
from service.video.windows import Window, Windows, WindowSampler


@dataclass(frozen=True, slots=True)
class Clip:
    """A window, and what is in it."""

    window: Window
    frames: Sequence[Pixels]
    """T of uint8 [height, width, 3], as the model takes them."""
    image: ImageSize
    """Of the video's frames."""


class ClipFeed:
    """Iterate once over a feed, whose ``sampler`` has windows like these; in memory are the frames of open windows."""

    def __init__(
        self,
        feed: FrameFeed,
        windows: Windows,
        sampler: WindowSampler,
        preprocess: Callable[[Pixels], Awaitable[Pixels]],
        *,
        start: FeedStart,
        first: int,
    ) -> None:
        """Reading begins at ``start``; windows that begin before the frame ``first`` are left out."""
        self._feed, self._windows, self._sampler, self._preprocess = feed, windows, sampler, preprocess
        self._first = first
        self._frames: dict[int, Pixels] = {}
        self._ready: deque[Clip] = deque()
        self._ended = False
        self._image: ImageSize = {"width": feed.info.width, "height": feed.info.height}
        self.resting = start
        """Where the last window begins that has ended; at first where reading began."""
        self.whole = True
        """All of the video is in windows; known at the end."""
        self.passed = 0
        """Frames that are behind it."""

    @property
    def end_s(self) -> float:
        """When the video ends; known at the end."""
        return self._sampler.end_s

    def __aiter__(self) -> AsyncIterator[Clip]:
        return self

    async def __anext__(self) -> Clip:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        frame = await anext(self._feed, None)
        if frame is None:
            self._ended = True
            self.whole = self._windows.finish(self._sampler.end_s)
        else:
            self.passed = frame.index + 1
            if frame.decision is Decision.DROP:
                self._windows.passed(frame.time_s)
            else:
                self._windows.add(frame.index, frame.time_s)
                if frame.pixels is not None:
                    self._image = {"width": frame.pixels.shape[1], "height": frame.pixels.shape[0]}
                    self._frames[frame.index] = await self._preprocess(frame.pixels)
        self._gather()

    def _gather(self) -> None:
        for window in self._windows.closed():
            self.resting = FeedStart(window.first, window.start_s)
            if window.first >= self._first:
                self._first = window.first + 1
                self._ready.append(Clip(window, [self._frames[index] for index in window.frames], self._image))
        oldest = self._windows.oldest
        for index in [index for index in self._frames if oldest is None or index < oldest]:
            del self._frames[index]
