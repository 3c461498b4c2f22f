"""The annotated video of a job, drawn along with the work; its first frames are drawn from lines that are there."""

from collections.abc import Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from contract.task import Task
from service.video.annotate import AnnotatedVideo
from service.video.disk import on_disk
from service.video.frame_feed import SampledFrame
from service.video.job_folder import JobFolder
from service.video.lines import KeptLines
from service.video.sound import Sound


class JobDrawing:
    """``async with`` it, then add every frame of the video from the first on, in order.

    What was added stays and can be played, also where the work ends in the middle.

    Raises:
        ServiceError: storage_full, where the disk is full.
    """

    def __init__(self, folder: JobFolder, task: Task) -> None:
        """For the job whose files stand there."""
        self._folder, self._task = folder, task
        self._video: AnnotatedVideo | None = None
        self._kept: KeptLines | None = None
        self._sound: Sound | None = None

    async def __aenter__(self) -> Self:
        try:
            await on_disk(self._open)
        except BaseException:
            await on_disk(self._close)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await on_disk(self._close)

    @property
    def problem(self) -> str | None:
        """What is wrong with the sound, for the caller; complete at the end."""
        return None if self._sound is None else self._sound.problem

    async def add(self, frame: SampledFrame, result: Mapping[str, Any] | None) -> None:
        """Add a frame with a result, if there is one."""
        await on_disk(self._add, frame, result)

    async def add_kept(self, frame: SampledFrame) -> None:
        """Add a frame with what its line has, or the last line before it."""
        await on_disk(self._add_kept, frame)

    def _open(self) -> None:
        self._kept = KeptLines(self._folder.results)
        self._sound = Sound(self._folder.input)
        self._video = AnnotatedVideo(self._folder.annotated, self._task, sound=self._sound)

    def _close(self) -> None:
        with ExitStack() as stack:
            for part in (self._kept, self._sound, self._video):
                if part is not None:
                    stack.callback(part.close)

    def _add_kept(self, frame: SampledFrame) -> None:
        self._add(frame, None if self._kept is None else self._kept.at(frame.index))

    def _add(self, frame: SampledFrame, result: Mapping[str, Any] | None) -> None:
        if frame.pixels is None or self._video is None:
            raise ValueError(f"frame {frame.index} cannot be drawn: its pixels or the video are missing")
        self._video.add(frame.pixels, frame.time_s, None if result is None or "error" in result else result)
