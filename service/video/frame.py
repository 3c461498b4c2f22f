"""One decoded frame: its pixels upright in RGB, or its brightness in small, both only when asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer, Type

from contract.preprocess import Pixels

Thumbnail = npt.NDArray[np.uint8]
"""Brightness in small: uint8 [h, w], the longer side below THUMBNAIL_SIDE; each value is the mean of a square."""

THUMBNAIL_SIDE = 128
_LUMA_FIRST = ("yuv4", "yuvj4", "nv12", "nv21", "gray")


_SideData: Any = SideDataContainer


class Turn(NamedTuple):
    """How stored pixels become upright: swap rows with columns, then mirror."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Turn":
        """From a frame's display matrix; angles between right angles count as the nearest one.

        The matrix is nine int32, of which the first two rows hold x' = a·x + c·y, y' = b·x + d·y as a, b, _, c, d
        (libavutil/display.h).
        """
        try:
            # Not `frame.side_data`: frame and side data then hold on to each other until the collector comes.
            matrix: Any = next((side for side in _SideData(frame) if side.type is Type.DISPLAYMATRIX), None)
        except ValueError:
            # PyAV 18 knows no name of some kinds of side data, such as EXIF; what it gives besides lacks the mirroring.
            return _QUARTER_TURNS[round(frame.rotation / 90) % 4]
        if matrix is None:
            return UPRIGHT
        a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(matrix, np.int32))
        return cls(True, c < 0, b < 0) if abs(b) > abs(a) else cls(False, a < 0, d < 0)

    def apply(self, pixels: Pixels) -> Pixels:
        """The pixels upright; the same array where they are."""
        if self.swap:
            pixels = np.asarray(cv2.transpose(pixels), np.uint8)
        if self.mirror_x or self.mirror_y:
            axes = -1 if self.mirror_x and self.mirror_y else int(self.mirror_x)
            pixels = np.asarray(cv2.flip(pixels, axes), np.uint8)
        return pixels


UPRIGHT = Turn()
_QUARTER_TURNS = (UPRIGHT, Turn(True, False, True), Turn(False, True, True), Turn(True, True, False))


@dataclass(frozen=True)
class Frame:
    """A frame in its place; it holds the decoder's picture until it is let go."""

    index: int
    """From 0, in presentation order."""
    time_s: float
    """Presentation time, in seconds since the beginning."""
    key: bool
    decoded: av.VideoFrame
    turn: Turn = UPRIGHT

    @property
    def width(self) -> int:
        """Of the upright frame."""
        return self.decoded.height if self.turn.swap else self.decoded.width

    @property
    def height(self) -> int:
        """Of the upright frame."""
        return self.decoded.width if self.turn.swap else self.decoded.height

    def pixels(self, max_side: int | None = None) -> Pixels:
        """RGB uint8 [H, W, 3], upright; made anew at each call, scaled down so that no side is above ``max_side``.

        Pixels that are not square stay as they are stored.
        """
        width, height = _within(self.decoded.width, self.decoded.height, max_side)
        colours: Any = self.decoded.to_ndarray(
            width=width,
            height=height,
            format="rgb24",
            interpolation="BILINEAR" if (width, height) == (self.decoded.width, self.decoded.height) else "AREA",
            # Else each frame would start and end as many threads as there are cores.
            threads=1,
        )
        return self.turn.apply(colours)

    @cached_property
    def thumbnail(self) -> Thumbnail:
        """The brightness in small, as stored (not turned)."""
        small = _luma(self.decoded)
        while max(small.shape) >= THUMBNAIL_SIDE and min(small.shape) > 1:
            # Halving is what OpenCV does ten times faster than an odd ratio.
            height, width = small.shape[0] // 2, small.shape[1] // 2
            small = np.asarray(
                cv2.resize(small[: height * 2, : width * 2], (width, height), interpolation=cv2.INTER_AREA)
            )
        return small.copy() if small.base is not None else small


def _within(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    if max_side is None or max(width, height) <= max_side:
        return width, height
    scale = max_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _luma(decoded: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """The plane of brightness uint8 [H, W]: the decoder's own where it has one of 8 bits, without a copy."""
    name = decoded.format.name
    if not name.startswith(_LUMA_FIRST) or name.endswith(("le", "be")):
        decoded = decoded.reformat(format="gray", threads=1)
    plane = decoded.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    luma: npt.NDArray[np.uint8] = rows[: decoded.height, : decoded.width]
    return luma
