"""Where tracked boxes will be: a constant-velocity Kalman filter over real time, for all tracks at once.

The filter is that of SORT and ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection
Box", ECCV 2022), with DeepSORT's noise, which grows with the box (Wojke et al., "Simple Online and Realtime Tracking
with a Deep Association Metric", ICIP 2017). Two things differ. Its steps are seconds, not frames, so frames may come at
any time. And as none of its matrices couples one coordinate with another, it is computed as four filters of two numbers
each: no matrix is inverted.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

MEAN, SPEED, MEAN_VARIANCE, COVARIANCE, SPEED_VARIANCE = range(5)
"""Rows of a track's state f64 [5, 4]; its columns are the box's centre x and y, width and height, in pixels."""

_MEASURED: Final = 1 / 20
"""Deviation of a detection, as a part of the box's size (DeepSORT)."""
_START: Final = 2 * _MEASURED
_START_SPEED: Final = 10 / 160 * 30
"""Deviation of a new track's speed, in sizes a second: DeepSORT's a frame, of which there were 30 a second."""
_DRIFT: Final = _MEASURED**2 * 30
"""Variance that a box gains a second by itself, in sizes²; DeepSORT's a frame."""
_SHAKE: Final = (1 / 160 * 30) ** 2 * 30
"""Variance that its speed gains a second, in sizes² a second²; DeepSORT's a frame."""
_LEAST_SIDE: Final = 1.0
"""No box is predicted smaller than a pixel."""


def centred(corners: Numbers) -> Numbers:
    """Boxes x1, y1, x2, y2 f64 [N, 4] as centre x and y, width and height."""
    sides = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + sides / 2, sides], axis=1)


def started(corners: Numbers) -> Numbers:
    """States f64 [N, 5, 4] of new tracks at boxes x1, y1, x2, y2 f64 [N, 4]; they stand still as far as is known."""
    states = np.zeros((len(corners), 5, 4))
    states[:, MEAN] = centred(corners)
    size = _size(states)
    states[:, MEAN_VARIANCE] = (_START * size) ** 2
    states[:, SPEED_VARIANCE] = (_START_SPEED * size) ** 2
    return states


def predict(states: Numbers, seconds: Numbers) -> None:
    """Move states f64 [N, 5, 4] on by seconds f64 [N] ≥ 0, in place."""
    step, size = seconds[:, None], _size(states)
    shake = _SHAKE * size**2
    speed_variance, covariance = states[:, SPEED_VARIANCE].copy(), states[:, COVARIANCE].copy()
    states[:, MEAN] += step * states[:, SPEED]
    states[:, MEAN_VARIANCE] += (
        2 * step * covariance + step**2 * speed_variance + _DRIFT * size**2 * step + shake * step**3 / 3
    )
    states[:, COVARIANCE] += step * speed_variance + shake * step**2 / 2
    states[:, SPEED_VARIANCE] += shake * step
    np.maximum(states[:, MEAN, 2:], _LEAST_SIDE, out=states[:, MEAN, 2:])


def correct(states: Numbers, corners: Numbers) -> Numbers:
    """States f64 [N, 5, 4] after their boxes x1, y1, x2, y2 f64 [N, 4] were seen."""
    variance, covariance = states[:, MEAN_VARIANCE], states[:, COVARIANCE]
    total = variance + (_MEASURED * _size(states)) ** 2
    gain, speed_gain = variance / total, covariance / total
    wrong = centred(corners) - states[:, MEAN]
    return np.stack(
        [
            states[:, MEAN] + gain * wrong,
            states[:, SPEED] + speed_gain * wrong,
            (1 - gain) * variance,
            (1 - gain) * covariance,
            states[:, SPEED_VARIANCE] - speed_gain * covariance,
        ],
        axis=1,
    )


def corners_of(states: Numbers) -> Numbers:
    """Boxes x1, y1, x2, y2 f64 [N, 4] of states f64 [N, 5, 4]."""
    half = states[:, MEAN, 2:] / 2
    return np.concatenate([states[:, MEAN, :2] - half, states[:, MEAN, :2] + half], axis=1)


def _size(states: Numbers) -> Numbers:
    """Boxes' sizes f64 [N, 1], between width and height, at least a pixel."""
    size: Numbers = np.maximum(states[:, MEAN, 2:], _LEAST_SIDE).mean(axis=1, keepdims=True)
    return size
