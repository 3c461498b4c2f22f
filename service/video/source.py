"""A video file or a live source → its frames, one after another, in bounded memory."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error

from service.video.clock import PresentationClock, StampGuess
from service.video.decoding import Decoding, SourceClosed
from service.video.frame import Frame, Turn
from service.video.opening import InvalidVideo, SourceUnavailable, VideoOptions, open_video

_SAME_S = 1e-6
_CLOCKLESS = "mpjpeg"
"""Pictures one after another, as cameras send them by HTTP."""
_HELD_AT_END = 16
"""Frames that a decoder may hold until the end, and that then have no stamp in containers such as AVI."""
_SEEK_BACK_S = (0.0, 10.0)
"""How far before the wanted time a key frame is looked for, in turn; then the beginning."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video says of itself. The rate, the duration and the count are its header's claims, which may be wrong."""

    container: str
    codec: str
    width: int
    """Pixels of the upright frame."""
    height: int
    frame_rate: float | None
    """Frames a second, on average."""
    duration_s: float | None
    frame_count: int | None
    hardware: bool
    """Whether a device decodes it."""

    @property
    def clockless(self) -> bool:
        """Its frames come without times: those that they have are made up, at 25 frames a second."""
        return self.container == _CLOCKLESS


class VideoSource:
    """Reads one video, from one thread at a time; `interrupt` and `close` may come from another.

    Opening decodes the first frame, so that a video is known to have one.

    Raises:
        InvalidVideo: no video, no video stream, no decoder for it, or no frame that can be decoded.
        VideoTooLarge: frames beyond ``options.max_pixels``.
        SourceUnavailable: an address that cannot be reached.
    """

    def __init__(self, location: Path | str, options: VideoOptions | None = None) -> None:
        self.problems: list[str] = []
        """What could not be read, in sentences for the caller; complete when `frames` has ended."""
        self._location, self._options = location, options or VideoOptions()
        self._stop = threading.Event()
        self._first: av.VideoFrame | None
        self._decoding, self._first, self._rest = self._begin()
        self._zero_s = _zero(self._decoding, self._first)
        self.info = _describe(self._decoding, self._first)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def interrupt(self) -> None:
        """End `frames` before its next frame; of a source that is silent, after its read timeout at the latest."""
        self._stop.set()

    def close(self) -> None:
        """Free the file or connection and the decoder, once the step that is under way has ended; may be repeated."""
        self.interrupt()
        self._decoding.close()

    def frames(self, *, from_s: float = 0.0, from_index: int = 0) -> Iterator[Frame]:
        """The frames in presentation order; only the latest is held.

        With ``from_s`` only those from that time on: decoding begins at the key frame before it (at the beginning where
        the file cannot be searched), and the times are the same as in the whole unless stamps had to be mended before.
        The first of them has the number ``from_index``. A file may be read again; a live source goes on where it is.
        """
        self.problems.clear()
        clock, guess = PresentationClock(), StampGuess()
        index, offset = from_index, None
        for picture in self._from(from_s):
            stamp_s = self._since_zero(guess.of(picture.pts, picture.dts))
            time_s = clock.next(stamp_s, self._decoding.step_s(picture))
            if self._stop.is_set():
                return
            if from_s > 0 and time_s < from_s - _SAME_S:
                continue
            if (number := self._decoding.number_of(picture)) is not None:
                offset = from_index - number if offset is None else offset
                index = max(index, number + offset)
            yield Frame(index, time_s, picture.key_frame, picture, Turn.of(picture))
            index += 1
        if not self._stop.is_set():
            self._report(clock, max(index, (self._decoding.packets or 0) + (offset or 0)))

    def _begin(self) -> tuple[Decoding, av.VideoFrame, Iterator[av.VideoFrame]]:
        opened = open_video(self._location, self._options)
        try:
            decoding = Decoding(opened, self._options, self._stop)
            rest = decoding.pictures()
            first = next(rest, None)
        except BaseException:
            opened.close()
            raise
        if first is None:
            opened.close()
            if decoding.damage.ended and not isinstance(self._location, Path):
                raise SourceUnavailable(f"no frame came: {decoding.damage.ended}")
            why = decoding.damage.first_reason or decoding.damage.ended
            raise InvalidVideo("no frame of the video can be decoded" + (f": {why}" if why else ""))
        return decoding, first, rest

    def _from(self, from_s: float) -> Iterator[av.VideoFrame]:
        """The pictures from the last key picture before a time, or from the beginning."""
        if isinstance(self._location, Path):
            for back_s in _SEEK_BACK_S if from_s > 0 else ():
                if (found := self._seek(from_s, from_s - back_s)) is not None:
                    return found
            if self._first is None and not self._begin_again():
                return iter(())
        first, self._first = self._first, None
        return self._rest if first is None else chain([first], self._rest)

    def _begin_again(self) -> bool:
        """Open the file anew; False where an interruption came first."""
        self._decoding.close()
        if self._stop.is_set():
            return False
        try:
            self._decoding, self._first, self._rest = self._begin()
        except InvalidVideo:
            if self._stop.is_set():
                return False
            raise
        if self._stop.is_set():
            # `close` may have seen only the former one.
            self._decoding.close()
        return True

    def _seek(self, from_s: float, target_s: float) -> Iterator[av.VideoFrame] | None:
        """The pictures from a key picture that is surely not after ``from_s``, or None."""
        self._first = None
        if target_s <= 0:
            return None
        with suppress(av.error.FFmpegError, SourceClosed):
            self._decoding.seek(int((target_s + self._zero_s) / self._decoding.time_base))
            pictures = self._decoding.pictures()
            first = next(pictures, None)
            since_s = None if first is None else self._since_zero(StampGuess().of(first.pts, first.dts))
            if first is not None and since_s is not None and since_s <= from_s + _SAME_S:
                return chain([first], pictures)
        return None

    def _since_zero(self, stamp: int | None) -> float | None:
        return None if stamp is None else float(stamp * self._decoding.time_base) - self._zero_s

    def _report(self, clock: PresentationClock, count: int) -> None:
        """Say what was not as it should be."""
        damage = self._decoding.damage
        at = "" if damage.first_s is None else f" from {max(0.0, damage.first_s - self._zero_s):.3f} s on"
        if damage.packets:
            self.problems.append(f"packets{at} could not be decoded: {damage.packets} ({damage.first_reason})")
        if damage.pictures:
            self.problems.append(f"frames{at} are damaged: {damage.pictures}")
        if damage.ended:
            self.problems.append(f"the video ends at {clock.last_s or 0.0:.3f} s: {damage.ended}")
        elif self.info.duration_s is None and not isinstance(self._location, Path):
            self.problems.append(f"the source ended at {clock.last_s or 0.0:.3f} s")
        else:
            self._compare_with_claims(clock.last_s or 0.0, count)
        if clock.missing > _HELD_AT_END:
            self.problems.append(f"{clock.missing} of {count} frames had no timestamp; theirs are reckoned by the rate")
        if clock.disordered:
            self.problems.append(
                f"timestamps out of order, mended: {clock.disordered}, the first at {clock.disordered_first_s:.3f} s"
            )

    def _compare_with_claims(self, last_s: float, count: int) -> None:
        claims, end_s = self.info, last_s + self._decoding.usual_step_s
        if claims.frame_count is not None and count < claims.frame_count:
            self.problems.append(
                f"the header announces {claims.frame_count} frames; {count} could be read, the last at {last_s:.3f} s"
            )
        elif self._options.key_frames_only:
            return
        elif claims.duration_s is not None and end_s < claims.duration_s - max(1.0, claims.duration_s / 50):
            self.problems.append(f"the header announces {claims.duration_s:.3f} s; the frames end at {end_s:.3f} s")


def _zero(decoding: Decoding, first: av.VideoFrame) -> float:
    """The second that counts as 0: where the earliest of all streams begins, but not after the first picture."""
    stamp = StampGuess().of(first.pts, first.dts)
    shown_s = 0.0 if stamp is None else float(stamp * decoding.time_base)
    start = decoding.container.start_time
    return shown_s if start is None else min(shown_s, start / av.time_base)


def _describe(decoding: Decoding, picture: av.VideoFrame) -> VideoInfo:
    stream, container = decoding.stream, decoding.container
    first = Frame(0, 0.0, picture.key_frame, picture, Turn.of(picture))
    rate = stream.average_rate or stream.guessed_rate
    whole = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    if whole is None and container.duration:
        whole = Fraction(container.duration, av.time_base)
    return VideoInfo(
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=first.width,
        height=first.height,
        frame_rate=float(rate) if rate and container.format.name != _CLOCKLESS else None,
        duration_s=float(whole) if whole and whole > 0 else None,
        frame_count=stream.frames or None,
        hardware=stream.codec_context.is_hwaccel,
    )
