"""A video with its findings drawn in, written picture by picture."""

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import cv2
import numpy as np
from av.container import OutputContainer

from contract.preprocess import Pixels
from contract.task import Task
from service.video.sound import Sound

CODEC: Final = "libx264" if "libx264" in av.codecs_available else "mpeg4"
"""H.264 where FFmpeg was built with it."""
TICK: Final = Fraction(1, 60_000)
"""Seconds between two stamps that differ: any usual rate is a whole number of them; MPEG-4 knows no finer ones."""
_OPTIONS = {"movflags": "frag_keyframe+delay_moov+default_base_moof", "flush_packets": "1"}
"""Each group of pictures can be played once it is written, and stays so if nothing comes after it. The header comes
with the first group, for only then it says when the first picture is shown."""
_KEY_EVERY = 50
_LAST_SHOWN_S = 0.04
"""How long the last picture is seen, for nobody knows."""


class AnnotatedVideo:
    """An MP4 that grows; it has the frames that are added, at their times. Memory does not grow with its length.

    Not for use by two threads at a time.
    """

    def __init__(self, path: Path, task: Task, *, sound: Sound | None = None, threads: int = 1) -> None:
        """A file that is there is replaced. ``sound`` is the source's, and closed here; ``threads``: of the encoder."""
        self._task, self._threads, self._sound = task, threads, sound
        self._container: OutputContainer = av.open(str(path), "w", format="mp4", options=_OPTIONS)
        self._stream: Any = None
        self._last_stamp = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, pixels: Pixels, time_s: float, result: Any | None) -> None:
        """Add a frame, RGB uint8 [H, W, 3], with a result of the task drawn in; None: the picture alone.

        Times rise. The first frame sets the size; others are fitted to it. A side that is odd gets one more pixel.

        Raises:
            OSError: it cannot be written.
        """
        picture = pixels if result is None else _drawn(self._task, pixels, result)
        if self._stream is None:
            self._stream = self._begun(*_even(picture).shape[:2])
        frame = av.VideoFrame.from_ndarray(self._fitted(picture), format="rgb24")
        frame.time_base = TICK
        # Two frames at one stamp would be refused; sources round theirs.
        self._last_stamp = frame.pts = max(round(time_s / TICK), self._last_stamp + 1)
        if self._sound is not None:
            self._sound.copy(self._container, time_s)
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds, and the end; may be repeated.

        Raises:
            OSError: it cannot be written.
        """
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                self._container.mux(stream.encode(None))
                if self._sound is not None:
                    self._sound.copy(self._container, (self._last_stamp + 1) * TICK + _LAST_SHOWN_S)
        finally:
            self._container.close()
            if self._sound is not None:
                self._sound.close()

    def _begun(self, height: int, width: int) -> Any:
        stream: Any = self._container.add_stream(CODEC, rate=30)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base, context.gop_size, context.thread_count = TICK, _KEY_EVERY, self._threads
        # Pictures in the order of their times, so that each stamp stands in the file as it is.
        context.max_b_frames = 0
        if CODEC == "libx264":
            stream.options = {"preset": "veryfast", "crf": "23"}
        else:
            context.bit_rate = max(500_000, 4 * width * height)
        if self._sound is not None:
            self._sound.join(self._container)
        return stream

    def _fitted(self, picture: Pixels) -> Pixels:
        height, width = self._stream.height, self._stream.width
        picture = _even(picture)
        if picture.shape[:2] != (height, width):
            picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return picture


def _drawn(task: Task, pixels: Pixels, result: Any) -> Pixels:
    # Drawing is rare and its library large: it is imported when first wanted.
    from service.drawing import draw  # noqa: PLC0415

    return draw(task, pixels, result)


def _even(picture: Pixels) -> Pixels:
    """With the last row or column twice where a side is odd: H.264 stores colours of squares of four."""
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    return np.asarray(cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8)
