"""Clips made of other clips, without encoding them anew."""

from pathlib import Path
from typing import Any

import av


def repeated(clip: Path, times: int, path: Path) -> Path:
    """Write a clip that shows another one so many times, in the container that the path's name says; its path."""
    with av.open(str(path), "w") as out:
        stream: Any = None
        for number in range(times):
            with av.open(str(clip)) as container:
                source = container.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(source)
                length = source.duration
                if length is None:
                    raise ValueError(f"{clip} does not say how long it is")
                for packet in container.demux(source):
                    # The last one is empty, and only tells a decoder of the end.
                    if packet.dts is None or packet.pts is None:
                        continue
                    packet.pts += number * length
                    packet.dts += number * length
                    packet.stream = stream
                    out.mux(packet)
    return path


def times_of(path: Path) -> list[float]:
    """The presentation times of all frames that can be decoded, in seconds."""
    with av.open(str(path)) as container:
        return [float(frame.time or 0.0) for frame in container.decode(video=0)]
