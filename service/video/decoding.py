"""An opened container → the pictures of its video stream, whatever else is in it and however much of it is broken."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from service.video.key_numbers import KeyNumbers
from service.video.opening import InvalidVideo, Opened, VideoOptions, VideoTooLarge, reason

_NOT_MOVING = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_UNKNOWN_STEP_S = 1 / 25
_UNKNOWN_BASE = Fraction(1, 90_000)


class SourceClosed(RuntimeError):
    """Another thread has closed the video."""


@dataclass(slots=True)
class Damage:
    """What went wrong while reading."""

    packets: int = 0
    """That could not be decoded."""
    pictures: int = 0
    """That the decoder marked as damaged; they are given all the same."""
    first_s: float | None = None
    first_reason: str = ""
    ended: str = ""
    """Why reading ended, where it was not the end of the data."""

    def note(self, time_s: float | None, why: str) -> None:
        """Remember the first of all."""
        if not self.first_reason:
            self.first_s, self.first_reason = time_s, why


class Decoding:
    """One pass over one stream. Each step holds a lock, so that another thread can free the whole between two steps.

    Raises:
        InvalidVideo: no video stream, or no decoder for it.
        VideoTooLarge: frames beyond ``options.max_pixels``, by the header.
    """

    def __init__(self, opened: Opened, options: VideoOptions, stop: threading.Event) -> None:
        self.damage = Damage()
        self._opened, self._stop, self._lock = opened, stop, threading.Lock()
        self._read_timeout_s = options.read_timeout_s
        self._stream: VideoStream | None = _prepare(opened, options)
        self.time_base = self._stream.time_base or _UNKNOWN_BASE
        """Seconds of one step of the stream's stamps."""
        rate = self._stream.average_rate
        self.usual_step_s = float(1 / rate) if rate else _UNKNOWN_STEP_S
        """Seconds from one picture to the next, on average."""
        self._packets: Iterator[Packet[Any]] | None = None
        self._numbers = KeyNumbers() if options.key_frames_only else None

    @property
    def stream(self) -> VideoStream:
        """The stream; not after `close`."""
        if self._stream is None:
            raise SourceClosed("the video is closed")
        return self._stream

    @property
    def container(self) -> InputContainer:
        """The container."""
        return self._opened.container

    def pictures(self) -> Iterator[av.VideoFrame]:
        """The decoded pictures in presentation order, until the end, an error of the source, or the stop."""
        while not self._stop.is_set():
            with self._lock:
                packet = self._next_packet()
                pictures = [] if packet is None else self._decode(packet)
                over = packet is None or _is_end(packet)
                # A packet holds the decoder, which must not outlive `close` while this waits for its caller.
                packet = None
            yield from pictures
            if over:
                return

    @property
    def packets(self) -> int | None:
        """How many packets were read; None unless only key frames are decoded."""
        return None if self._numbers is None else self._numbers.packets

    def number_of(self, picture: av.VideoFrame) -> int | None:
        """The place of a picture, counted from where reading began; None unless only key frames are decoded."""
        if self._numbers is None:
            return None
        return self._numbers.pop(picture.dts if picture.pts is None else picture.pts)

    def seek(self, stamp: int) -> None:
        """Go on from the key picture at or before a stamp in the stream's time base; FFmpegError where it cannot."""
        with self._lock:
            depth = self.stream.codec_context.reorder_depth
            self._packets, self.damage = None, Damage()
            self._numbers = None if self._numbers is None else KeyNumbers()
            self._opened.container.seek(stamp, stream=self.stream, backward=True)
            # Flushing makes the decoder forget how far pictures are reordered, and it would drop the first of them.
            self.stream.codec_context.reorder_depth = depth

    def step_s(self, picture: av.VideoFrame) -> float:
        """How long a picture is shown, in seconds, as well as it is known."""
        if picture.duration and picture.time_base:
            return float(picture.duration * picture.time_base)
        return self.usual_step_s

    def close(self) -> None:
        """Free everything, after the step that is under way."""
        with self._lock:
            self._packets = self._stream = None
            self._opened.close()

    def _next_packet(self) -> "Packet[Any] | None":
        """The next packet, an empty one at the end of the data; None where all is over."""
        if self._stream is None:
            return None
        if self._packets is None:
            self._packets = self._opened.container.demux(self._stream)
        try:
            packet = next(self._packets, None)
        except av.error.ExitError:
            self.damage.ended = f"the source said nothing for {self._read_timeout_s:g} s"
        except (av.error.FFmpegError, OSError) as error:
            self.damage.ended = f"reading failed: {reason(error)}"
        else:
            if self._numbers is not None and packet is not None and not _is_end(packet):
                self._numbers.count(packet)
            return packet
        # An empty packet lets out what the decoder still holds.
        rest: Packet[Any] = Packet()
        rest.time_base = self.time_base
        return rest

    def _decode(self, packet: "Packet[Any]") -> list[av.VideoFrame]:
        if not packet.size and not _is_end(packet):
            # AVI has such packets where a frame was left out.
            return []
        try:
            pictures = self.stream.codec_context.decode(packet if packet.size else None)
        except av.error.FFmpegError as error:
            self.damage.packets += 1
            stamp = packet.dts if packet.pts is None else packet.pts
            self.damage.note(None if stamp is None else float(stamp * packet.time_base), reason(error))
            return []
        for picture in pictures:
            if picture.time_base is None:
                picture.time_base = self.time_base
            if picture.is_corrupt:
                self.damage.pictures += 1
                self.damage.note(picture.time, "data are missing or wrong")
        return pictures


def _is_end(packet: "Packet[Any]") -> bool:
    """Whether it is the packet that comes after the last one of the data."""
    return not packet.size and packet.dts is None


def _prepare(opened: Opened, options: VideoOptions) -> VideoStream:
    stream = _main_video(opened)
    context = stream.codec_context
    if context is None:
        raise InvalidVideo("there is no decoder for the video's codec")
    if context.width * context.height > options.max_pixels:
        raise VideoTooLarge(
            f"the video is {context.width} x {context.height} pixels; at most {options.max_pixels:,} pixels are read"
        )
    context.thread_count = options.threads
    context.thread_type = "AUTO"
    if options.key_frames_only:
        context.skip_frame = "NONKEY"
    context.options = {"max_pixels": str(options.max_pixels)}
    for other in opened.container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
    return stream


def _main_video(opened: Opened) -> VideoStream:
    """The default one of the moving pictures, or the first; covers and thumbnails do not count."""
    moving = [stream for stream in opened.container.streams.video if not stream.disposition & _NOT_MOVING]
    if not moving:
        raise InvalidVideo("there is no video in it")
    return next((stream for stream in moving if stream.disposition & Disposition.default), moving[0])
