"""A video job for a model of clips: decode → windows → ask the model → a line a window, and an answer for the whole."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from contract.preprocess import Geometry, Pixels
from service.errors import ServiceError, engine_unavailable
from service.inference import parse_parameters
from service.registry.version import LoadedVersion
from service.video.clip_feed import Clip, ClipFeed
from service.video.clip_mean import ClipMean
from service.video.disk import on_disk
from service.video.extent import frames_claimed, usual_window, window_for
from service.video.frame_feed import FeedStart, FrameFeed
from service.video.job_drawing import JobDrawing
from service.video.lines import Kept, LineWriter, line_of
from service.video.opening import VideoOptions
from service.video.patient_inference import PatientInference
from service.video.progress import Progress
from service.video.sampling import EveryFrame
from service.video.setbacks import Setbacks, is_setback
from service.video.summary import model_of
from service.video.video_request import VideoRequest
from service.video.windows import Windows, WindowSampler
from service.window import in_order

_ALL = {"top_k": 10_000, "score_threshold": 0.0}
"""The mean is of all classes; so many are the most that can be asked for."""


async def classify_clips(
    asking: PatientInference, request: VideoRequest, progress: Progress, options: VideoOptions
) -> None:
    """Answer the windows of a video that have no line yet, and the whole; see `service.video.work.Work`.

    Where the version is replaced by one that takes other clips or knows other classes, this ends as if the engine was
    lost: the work is begun again with that one, behind its last line.
    """
    # A line is of a window: whether a frame was in any, it does not tell.
    progress.skips = False
    version = await asking.version()
    progress.known(model=model_of(version))
    asked = parse_parameters(version.task, request.parameters)
    asking.parameters = {**request.parameters, **_ALL}
    kept = await on_disk(Kept.read, progress.folder.results, 0.0)
    start = FeedStart() if kept.last is None else FeedStart(kept.last["frame"], kept.last["timestamp_s"])
    async with ClipMean(progress.folder.path / "windows.ndjson", version.card) as mean:
        way = _Way(asking, request, progress, options, version, asked, mean, LineWriter(progress))
        await way.through(start)
    if mean.others:
        progress.problem(f"the answer for the whole video leaves out {mean.others} windows, which have other classes")
    if request.annotate:
        await _draw(request, progress, options)
    for problem in way.problems:
        progress.problem(problem)


@dataclass(frozen=True, slots=True)
class _Answered:
    """A window and what the model said."""

    clip: Clip
    classes: list[dict[str, Any]] = field(default_factory=list)
    error: ServiceError | None = None


@dataclass(slots=True)
class _Way:
    """One way through a video, with one version."""

    asking: PatientInference
    request: VideoRequest
    progress: Progress
    options: VideoOptions
    version: LoadedVersion
    asked: Any
    """The caller's parameters of the task."""
    mean: ClipMean
    lines: LineWriter
    setbacks: Setbacks = field(default_factory=Setbacks)
    problems: list[str] = field(default_factory=list)
    """What was wrong with the file; complete at the end."""

    async def through(self, start: FeedStart) -> None:
        """Answer the windows that slide, and then the one that ends with the video, where there is need of it."""
        size, clips = self.version.card.preprocess.frames or 1, self.request.clips
        if self.mean.windows:
            # After a crash the job's row may lag behind.
            self._tell()
        async with self._clips(start, partial(Windows.sliding, size, clips)) as (feed, found):
            self.progress.total(frames_claimed(feed.info))
            await self._answer_all(found)
            self.problems = feed.problems
        if not found.whole:
            async with self._clips(found.resting, partial(Windows.last, size, clips, found.end_s)) as (_, rest):
                await self._answer_all(rest)
        await self.progress.moved(found.passed)

    @asynccontextmanager
    async def _clips(
        self, start: FeedStart, windows: Callable[[], Windows]
    ) -> AsyncIterator[tuple[FrameFeed, ClipFeed]]:
        sampler, first = WindowSampler(windows()), self.progress.next_frame
        async with FrameFeed(
            self.progress.folder.input, self.options, sampler, start=start, processed_from=first
        ) as feed:
            yield feed, ClipFeed(feed, windows(), sampler, self._preprocess, start=start, first=first)

    async def _preprocess(self, frame: Pixels) -> Pixels:
        return await self.asking.inference.preprocess_frame(frame, self.version.card.preprocess)

    async def _answer_all(self, clips: ClipFeed) -> None:
        spec = self.version.card.preprocess
        wanted = self.request.window or usual_window(self.version)
        window = window_for(wanted, spec.width, spec.height, spec.frames or 1)
        try:
            await in_order(aiter(clips), self._answer, self._deliver, window)
        finally:
            await self.lines.flush()

    async def _answer(self, clip: Clip) -> _Answered:
        try:
            result = await self.asking.ask(await asyncio.to_thread(np.stack, clip.frames))
        except ServiceError as error:
            await self._check_version()
            if not is_setback(error):
                raise
            return _Answered(clip, error=error)
        await self._check_version()
        return _Answered(clip, result["classes"])

    async def _check_version(self) -> None:
        """The frames are preprocessed for one version, and the mean is of its classes: another may have the same."""
        version = await self.asking.version()
        if version is self.version:
            return
        if (version.card.preprocess, version.card.labels) != (self.version.card.preprocess, self.version.card.labels):
            raise engine_unavailable("the model was replaced by one that takes other clips")
        self.version = version
        self.progress.known(model=model_of(version))

    async def _deliver(self, done: _Answered) -> None:
        """Write a window's line, in order."""
        window, image = done.clip.window, done.clip.image
        if done.error is None:
            self.setbacks.none()
            await self.mean.add(window.first, done.classes)
            self._tell()
            fields = {"image": image, "classes": self._wanted(done.classes)}
        else:
            fields = self.setbacks.line_of(done.error)
        await self.lines.add(line_of(window.first, window.start_s, {"end_s": round(window.end_s, 6), **fields}))
        await self.lines.passed(window.frames[-1] + 1)

    def _wanted(self, classes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [item for item in classes[: self.asked.top_k] if item["score"] >= self.asked.score_threshold]

    def _tell(self) -> None:
        """The answer for the video so far, made of the mean as the answer of one clip is of its probabilities."""
        version, mean = self.version, self.mean.mean()
        spec = version.card.preprocess
        # No size matters to classes.
        geometry = Geometry.of(spec.width, spec.height, spec)
        answer = version.task.postprocess({"probabilities": mean}, geometry, version.card, version.settings, self.asked)
        self.progress.known(classes=answer["classes"])


async def _draw(request: VideoRequest, progress: Progress, options: VideoOptions) -> None:
    """The annotated video, from the lines: a frame shows the answer of the latest window that it may be in."""
    async with (
        JobDrawing(progress.folder, request.task) as drawing,
        FrameFeed(progress.folder.input, options, EveryFrame(), all_pixels=True) as feed,
    ):
        async for frame in feed:
            await drawing.add_kept(frame)
    if drawing.problem is not None:
        progress.problem(drawing.problem)
