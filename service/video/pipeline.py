"""A video job's work: decode → sample → ask the model → track → a line a frame, and the annotated video by the side."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from contract.preprocess import Pixels
from contract.task import Task
from contract.tasks.table import TASKS
from service.errors import ServiceError, invalid_parameters
from service.inference import Inference
from service.registry.version import LoadedVersion
from service.video import association
from service.video.appearance import ModelAppearance
from service.video.clip_work import classify_clips
from service.video.disk import on_disk
from service.video.extent import frames_claimed, usual_window, window_for
from service.video.followed import Followed, carried_fields
from service.video.frame_feed import FeedStart, FrameFeed, SampledFrame
from service.video.job import Job
from service.video.job_drawing import JobDrawing
from service.video.lines import Kept, LineWriter, line_of, without_bytes
from service.video.opening import VideoOptions
from service.video.patient_inference import Patience, PatientInference
from service.video.progress import Progress
from service.video.reidentify import Reidentifier, ReidentifyParameters
from service.video.sampling import Decision, SampleMode
from service.video.setbacks import Setbacks, is_setback
from service.video.summary import Tally, model_of
from service.video.track import NotTrackable
from service.video.video_request import VideoRequest, score_threshold
from service.window import in_order

MOST_TOGETHER = 4
"""Frames that are asked for at once; each waits for the others."""
_TAIL_S = 2.0
_AS_JSON = frozenset({Task.CLASSIFY, Task.DETECT, Task.SEGMENT, Task.KEYPOINTS, Task.REGIONS})
"""Tasks whose results have no bytes in them …"""
_TEXT_MASKS = frozenset({None, "rle", "polygon", "none"})
"""… with masks in one of these forms."""


@dataclass(slots=True)
class VideoWork:
    """What is done with the video of a job; see `service.video.work.Work`.

    A job that goes on begins at the frame behind its last line; with an annotated video it reads from the start, to
    draw that anew from the lines that are there. Models are asked for frames without a line only.
    """

    inference: Inference
    options: VideoOptions = field(default_factory=VideoOptions)
    patience: Patience = field(default_factory=Patience)
    most_frames: int = 64
    """Of all jobs, that models are asked for at a time: what else a service may answer at a time is for callers."""
    _places: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(max(1, self.most_frames // MOST_TOGETHER))

    async def run(self, job: Job, progress: Progress) -> None:
        """See `Work.run`.

        Raises:
            ServiceError: as `Inference.predict` does; invalid_video and too_large for what is no video, or has
                frames too large; storage_full where the disk is full.
        """
        request = VideoRequest.of(job.request)
        asking = PatientInference(
            self.inference,
            request.task,
            request.model,
            request.parameters,
            self.patience,
            job.id,
            progress.problem,
            places=self._places,
        )
        if TASKS[request.task].clips:
            await classify_clips(asking, request, progress, self.options)
        else:
            await self._each_frame(asking, request, progress)

    async def _each_frame(self, asking: PatientInference, request: VideoRequest, progress: Progress) -> None:
        tail_s = 0.0 if request.track is None else request.track.lost_s + _TAIL_S
        kept = await on_disk(Kept.read, progress.folder.results, tail_s)
        async with self._attempt(asking, request, kept, progress) as attempt:
            feed = attempt.feed
            wanted = request.window or usual_window(await asking.version())
            window = window_for(wanted, feed.info.width, feed.info.height)
            together = min(window, await self._together(asking))
            progress.total(frames_claimed(feed.info))
            try:
                await in_order(_groups(feed, together), attempt.answer, attempt.deliver, window // together)
            finally:
                await attempt.lines.flush()
            await progress.moved(attempt.passed)
            for problem in attempt.problems():
                progress.problem(problem)

    async def _together(self, asking: PatientInference) -> int:
        """So many frames are asked for at once: a batch, so that each of them costs the event loop a share only."""
        batch = (await asking.version()).engine.batch_sizes[-1]
        admitted = max(1, min(self.most_frames, self.inference.most_in_flight // 2))
        return min(batch, MOST_TOGETHER, self.inference.most_in_request, admitted)

    @asynccontextmanager
    async def _attempt(
        self, asking: PatientInference, request: VideoRequest, kept: Kept, progress: Progress
    ) -> AsyncIterator["_Attempt"]:
        followed = await _followed(asking, request, kept)
        tally = None if request.track is None else await on_disk(Tally.of, progress.folder.results, request.counts)
        async with AsyncExitStack() as stack:
            drawing = await _drawing(stack, request, kept, progress)
            feed = await stack.enter_async_context(self._feed(request, kept, progress, whole=drawing is not None))
            attempt = _Attempt(
                request,
                progress,
                progress.next_frame,
                feed,
                asking,
                LineWriter(progress),
                followed,
                tally,
                drawing,
                kept,
            )
            await attempt.name_model()
            yield attempt

    def _feed(self, request: VideoRequest, kept: Kept, progress: Progress, *, whole: bool) -> FrameFeed:
        # From the last frame that has a line, for sampling compares with it.
        start = FeedStart() if whole or not kept.last else FeedStart(kept.last["frame"], kept.last["timestamp_s"])
        return FrameFeed(
            progress.folder.input,
            replace(self.options, key_frames_only=request.sampling.sample is SampleMode.KEY and not whole),
            request.sampling.sampler(),
            start=start,
            processed_from=progress.next_frame,
            all_pixels=whole,
        )


@dataclass(frozen=True, slots=True)
class _Answered:
    """A frame and what the model said, which is None where it was not asked."""

    frame: SampledFrame
    result: dict[str, Any] | None = None
    error: ServiceError | None = None


@dataclass(slots=True)
class _Attempt:
    """One way through a video."""

    request: VideoRequest
    progress: Progress
    first: int
    """Frames before it have a line, or have none for good."""
    feed: FrameFeed
    asking: PatientInference
    lines: LineWriter
    followed: Followed | None
    tally: Tally | None
    """Of the tracks, where there are any."""
    drawing: JobDrawing | None
    kept: Kept
    passed: int = 0
    """Frames that are behind it."""
    _last: dict[str, Any] | None = None
    """The last result, for the frames that carry it."""
    _setbacks: Setbacks = field(default_factory=Setbacks)
    _version: LoadedVersion | None = None

    @property
    def plain(self) -> bool:
        """Results hold no bytes."""
        return _is_plain(self.request)

    def problems(self) -> list[str]:
        """What was wrong with the file; complete at the end."""
        silent = None if self.drawing is None else self.drawing.problem
        return [*self.feed.problems, *([] if silent is None else [silent])]

    def __post_init__(self) -> None:
        if self.kept.last is not None:
            own = {"frame", "timestamp_s", "carried"}
            self._last = {name: value for name, value in self.kept.last.items() if name not in own}
        if self.tally is not None:
            self.progress.known(**self.tally.facts())

    async def name_model(self) -> None:
        """Say which version answers, where that is new."""
        version = await self.asking.version()
        if version is not self._version:
            self._version = version
            self.progress.known(model=model_of(version))

    async def answer(self, frames: Sequence[SampledFrame]) -> list[_Answered]:
        """Ask the model for those frames that it is to see."""
        wanted = {
            frame.index: frame.pixels
            for frame in frames
            if frame.decision is Decision.PROCESS and frame.index >= self.first and frame.pixels is not None
        }
        found = await self._found_in(wanted) if wanted else {}
        return [_Answered(frame, *found.get(frame.index, ())) for frame in frames]

    async def _found_in(
        self, frames: Mapping[int, Pixels]
    ) -> dict[int, tuple[dict[str, Any] | None, ServiceError | None]]:
        """By frame what the model said, or why nothing can be made of it."""
        try:
            results = await self.asking.ask_all(list(frames.values()))
            return {index: (result, None) for index, result in zip(frames, results, strict=True)}
        except ServiceError as error:
            if not is_setback(error):
                raise
            if len(frames) == 1:
                return dict.fromkeys(frames, (None, error))
        # It is of one of them; asking for each alone tells of which.
        alone = [await self._found_in({index: pixels}) for index, pixels in frames.items()]
        return {index: answer for found in alone for index, answer in found.items()}

    async def deliver(self, answered: Sequence[_Answered]) -> None:
        """Write the frames' lines, in order, and their pictures."""
        for done in answered:
            await self._deliver(done)

    async def _deliver(self, done: _Answered) -> None:
        frame = done.frame
        self.passed = frame.index + 1
        if frame.index < self.first:
            if self.drawing is not None:
                await self.drawing.add_kept(frame)
            return
        await self.name_model()
        fields = await self._fields(done)
        if fields is not None and self.tally is not None and self.tally.add(fields):
            self.progress.known(**self.tally.facts())
        if self.drawing is not None:
            await self.drawing.add(frame, self._last)
        if fields is None:
            await self.lines.passed(self.passed)
        else:
            fields = fields if self.plain else without_bytes(fields)
            carried = frame.decision is Decision.CARRY
            await self.lines.add(line_of(frame.index, frame.time_s, fields, carried=carried))

    async def _fields(self, done: _Answered) -> dict[str, Any] | None:
        """What a frame's line says; None where it has none."""
        frame = done.frame
        if done.error is not None:
            self._last = self._setbacks.line_of(done.error)
            return self._last
        if frame.decision is Decision.CARRY:
            return await self._carried(frame.time_s)
        if done.result is None:
            return None
        self._setbacks.none()
        self._last = await self._found(done.result, frame)
        return self._last

    async def _carried(self, time_s: float) -> dict[str, Any] | None:
        if self._last is None:
            return None
        if self.followed is not None and "error" not in self._last:
            self._last = await self.followed.carry(time_s, self._last)
            return self._last
        return carried_fields(self._last)

    async def _found(self, result: dict[str, Any], frame: SampledFrame) -> dict[str, Any]:
        if self.followed is not None and frame.pixels is not None:
            try:
                result = await self.followed.seen(result, frame.pixels, frame.time_s)
            except NotTrackable as error:
                raise invalid_parameters(str(error)) from error
        return result


async def _groups(feed: FrameFeed, most: int) -> AsyncIterator[list[SampledFrame]]:
    """Frames, so many at once."""
    while frames := await feed.several(most):
        yield frames
        del frames


async def _followed(asking: PatientInference, request: VideoRequest, kept: Kept) -> Followed | None:
    """Who tracks, if it is wanted; the model is asked for more than the caller then."""
    version = await asking.version()
    if request.track is None:
        return None
    await on_disk(association.prepare)
    threshold = score_threshold(version, request)
    asking.parameters = {**asking.parameters, "score_threshold": request.track.detection_threshold(threshold)}
    followed = Followed(request.track, request.counts, threshold, recognising(asking, request.reidentify))
    if kept.last is not None:
        try:
            # A minute of lines at most, but of many objects: seconds of work.
            await on_disk(followed.go_on, kept.tail, kept.last_id)
        except NotTrackable as error:
            raise invalid_parameters(str(error)) from error
    return followed


def recognising(asking: PatientInference, wanted: ReidentifyParameters | None) -> Reidentifier | None:
    """Who recognises those that come back, if it is wanted: with the patience, and in the turns, of who asks."""
    if wanted is None:
        return None

    def changed(message: str) -> None:
        asking.changed(message)
        recogniser.forget_looks()

    appearance = ModelAppearance(
        asking.inference,
        wanted.model,
        asking.patience,
        request_id=asking.request_id,
        flow=asking.flow,
        places=asking.places,
        changed=changed,
    )
    recogniser = Reidentifier(appearance, wanted)
    return recogniser


async def _drawing(stack: AsyncExitStack, request: VideoRequest, kept: Kept, progress: Progress) -> JobDrawing | None:
    """The annotated video, if it is wanted and can be made from the start."""
    if not request.annotate:
        return None
    if kept.last is not None and not _is_plain(request):
        progress.problem("the annotated video was left out: the job was interrupted")
        await on_disk(progress.folder.annotated.unlink, missing_ok=True)
        return None
    return await stack.enter_async_context(JobDrawing(progress.folder, request.task))


def _is_plain(request: VideoRequest) -> bool:
    """Whether results are what JSON can say: then they can be drawn from their lines, too."""
    return request.task in _AS_JSON and request.parameters.get("mask_format") in _TEXT_MASKS
