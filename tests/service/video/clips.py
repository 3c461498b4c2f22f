"""Small clips, made on the spot; each frame shows its number in bars, so that a test can read it back."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from contract.preprocess import Pixels

WIDTH, HEIGHT = 128, 64
_BITS = 8
_MILLI = Fraction(1, 1000)


def barcode(number: int) -> Pixels:
    """The picture uint8 [HEIGHT, WIDTH, 3] of a number below 256: a column of white for each bit that is set."""
    bits = np.array([number >> bit & 1 for bit in range(_BITS)], np.uint8) * 255
    row = np.repeat(bits, WIDTH // _BITS)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()


def number_in(pixels: Pixels) -> int:
    """The number that a picture shows."""
    columns = pixels[:, :, 1].mean(axis=0).reshape(_BITS, -1).mean(axis=1) > 127
    return sum(1 << bit for bit in range(_BITS) if columns[bit])


def quarters() -> Pixels:
    """A picture whose corners are red, green, blue and white: in reading order."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[: HEIGHT // 2, : WIDTH // 2] = (255, 0, 0)
    pixels[: HEIGHT // 2, WIDTH // 2 :] = (0, 255, 0)
    pixels[HEIGHT // 2 :, : WIDTH // 2] = (0, 0, 255)
    pixels[HEIGHT // 2 :, WIDTH // 2 :] = (255, 255, 255)
    return pixels


def corners(pixels: Pixels) -> str:
    """The colours of the corners in reading order, by their first letters."""
    names = {(True, False, False): "r", (False, True, False): "g", (False, False, True): "b", (True, True, True): "w"}
    rows, columns = (pixels.shape[0] // 8, -pixels.shape[0] // 8), (pixels.shape[1] // 8, -pixels.shape[1] // 8)
    return "".join(names.get(tuple(bool(v) for v in pixels[y, x] > 127), "?") for y in rows for x in columns)


def every(count: int, rate: float = 25) -> list[float]:
    """The times of frames at a constant rate."""
    return [index / rate for index in range(count)]


def write_clip(
    path: Path,
    times_s: Sequence[float],
    *,
    paint: Callable[[int], Pixels] = barcode,
    codec: str = "libx264",
    b_frames: int = 0,
    key_every: int = 12,
    open_groups: bool = False,
    rotation: int = 0,
    mirrored: bool = False,
    audio: str | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip with a frame at each time (milliseconds), and return its path."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        height, width = paint(0).shape[:2]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25) if codec in ("mpeg4", "mjpeg") else _MILLI
        stream.codec_context.gop_size = key_every
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.options = {"preset": "veryfast", "qp": "12", "x264-params": f"open-gop={int(open_groups)}"}
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        sound: Any = container.add_stream(audio, rate=16_000, layout="mono") if audio else None
        for number, time_s in enumerate(times_s):
            frame = av.VideoFrame.from_ndarray(paint(number), format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(time_s / frame.time_base)
            container.mux(stream.encode(frame))
            if sound is not None:
                container.mux(sound.encode(_silence(number)))
        container.mux(stream.encode(None))
        if sound is not None:
            container.mux(sound.encode(None))
    return path


def write_photographs(path: Path, jpegs: Sequence[bytes], *, cover: bool = False) -> Path:
    """Write a clip of 25 frames a second, each one of these JPEG files as it is, or a cover; return its path."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        if cover:
            stream.disposition = Disposition.attached_pic
        for number, jpeg in enumerate(jpegs):
            packet: Any = av.Packet(jpeg)
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), True
            packet.pts = packet.dts = number
            container.mux(packet)
    return path


def _silence(number: int) -> av.AudioFrame:
    samples = av.AudioFrame.from_ndarray(np.zeros((1, 640), np.float32), format="fltp", layout="mono")
    samples.sample_rate = 16_000
    samples.pts = number * 640
    return samples


def truncated(path: Path, share: float) -> Path:
    """The clip with only the first ``share`` of its bytes."""
    data = path.read_bytes()
    short = path.with_stem(path.stem + "_short")
    short.write_bytes(data[: int(len(data) * share)])
    return short


def scribbled(path: Path, at: float, count: int) -> Path:
    """The clip with ``count`` bytes turned over, from the share ``at`` of its bytes on."""
    data = bytearray(path.read_bytes())
    begin = int(len(data) * at)
    data[begin : begin + count] = bytes(value ^ 0xFF for value in data[begin : begin + count])
    broken = path.with_stem(path.stem + "_broken")
    broken.write_bytes(bytes(data))
    return broken


def lying(path: Path, box: bytes, offset: int, value: int) -> Path:
    """An MP4 whose box has another 32-bit number at an offset after the box's name."""
    data = bytearray(path.read_bytes())
    begin = data.index(box) + len(box) + offset
    data[begin : begin + 4] = value.to_bytes(4, "big")
    liar = path.with_stem(path.stem + "_lying")
    liar.write_bytes(bytes(data))
    return liar
