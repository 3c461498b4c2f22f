"""Long clips in which squares wander about; made as quickly as H.264 can be."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

WIDTH, HEIGHT, RATE = 160, 96, 25
_SIDE = 24
_KEY_EVERY = 250


def write_long_clip(path: Path, seconds: float, scale: int = 1) -> Path:
    """Write a clip of WIDTH x HEIGHT, times ``scale``, at RATE frames a second; bare H.264 in .h264. Its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(3)
    ground = random.integers(90, 160, (HEIGHT // 8, WIDTH // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = scale * WIDTH, scale * HEIGHT, "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = Fraction(1, RATE), _KEY_EVERY
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        for number in range(round(seconds * RATE)):
            picture = _picture(ground, number).repeat(scale, 0).repeat(scale, 1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _picture(ground: Any, number: int) -> Any:
    """One frame RGB uint8 [HEIGHT, WIDTH, 3]: three squares, each on its own way to and fro."""
    picture = ground.copy()
    for colour, (across, down) in enumerate(((3, 1), (2, 2), (1, 3))):
        x, y = _to_and_fro(number * across, WIDTH - _SIDE), _to_and_fro(number * down, HEIGHT - _SIDE)
        picture[y : y + _SIDE, x : x + _SIDE] = 40
        picture[y : y + _SIDE, x : x + _SIDE, colour] = 250
    return picture


def _to_and_fro(step: int, span: int) -> int:
    return span - abs(step % (2 * span) - span)
