"""The sound of a video, as it is stored, for another file with the same times."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import av
import av.error
from av.audio.stream import AudioStream
from av.container import OutputContainer

from service.video.opening import InvalidVideo, VideoOptions, open_video

CODECS: Final = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
"""What an MP4 holds and players play."""


class Sound:
    """The first sound of a file, if an MP4 can hold it; read along with the pictures, so that little is in memory.

    Not for use by two threads at a time.
    """

    def __init__(self, path: Path, options: VideoOptions | None = None) -> None:
        """Where there is no sound, or none that can be read, ``stream`` is None."""
        self.problem: str | None = None
        """What is wrong with it, for the caller."""
        self.stream: AudioStream | None = None
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        self._target: Any = None
        self._opened = None
        try:
            self._opened = open_video(path, options or VideoOptions())
        except InvalidVideo:
            return
        container = self._opened.container
        start = container.start_time
        self._zero_s = 0.0 if start is None else start / av.time_base
        if container.streams.audio:
            self._take(container.streams.audio[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def join(self, container: OutputContainer) -> None:
        """Give a file that is begun a place for the sound, where there is any."""
        if self.stream is not None:
            self._target = container.add_stream_from_template(self.stream)

    def copy(self, container: OutputContainer, until_s: float) -> None:
        """Copy what is heard before a time, from where the last copy ended.

        Raises:
            OSError: it cannot be written.
        """
        while self._target is not None and (packet := self._coming()) is not None:
            since_s = float(packet.pts * packet.time_base) - self._zero_s
            if since_s >= until_s:
                return
            self._next = None
            if since_s < 0:  # what decoders need to begin; a moment of silence
                continue
            shift = round(self._zero_s / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts
            packet.stream = self._target
            container.mux(packet)

    def close(self) -> None:
        """Free the file; may be repeated."""
        self._packets, self._next, self.stream, self._target = iter(()), None, None, None
        if self._opened is not None:
            self._opened.close()

    def _take(self, stream: AudioStream) -> None:
        name = stream.codec_context.codec.canonical_name if stream.codec_context is not None else "unknown"
        if name not in CODECS:
            self.problem = f"the annotated video has no sound: an MP4 does not hold {name}"
            return
        self.stream = stream
        self._packets = stream.container.demux(stream)  # type: ignore[attr-defined]

    def _coming(self) -> Any:
        """The next packet with a time; None at the end, or where it is damaged."""
        try:
            while self._next is None or self._next.pts is None:
                self._next = next(self._packets, None)
                if self._next is None:
                    return None
        except (av.error.FFmpegError, OSError):
            self._packets, self._next = iter(()), None
            self.problem = "the annotated video has sound only up to where it is damaged"
            return None
        return self._next
