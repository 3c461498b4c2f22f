"""How large a video is: how many frames it claims to have, and how many may be under way."""

from service.registry.version import LoadedVersion
from service.video.source import VideoInfo

_BYTES = 256 << 20
"""Of all that is under way, more or less: of large frames, fewer."""
_LEAST_WINDOW = 2
_LEAST_USUAL, _MOST_USUAL = 8, 24


def usual_window(version: LoadedVersion) -> int:
    """So many frames under way keep an engine busy: those in its batches, and as many that wait or are waited for."""
    engine = version.engine
    return min(_MOST_USUAL, max(_LEAST_USUAL, 2 * engine.concurrency * engine.batch_sizes[-1]))


def window_for(wanted: int, width: int, height: int, frames: int = 1) -> int:
    """So many frames of this size, or clips of so many, may be under way: as are wanted, unless that is much memory."""
    return min(wanted, max(_LEAST_WINDOW, _BYTES // (3 * width * height * frames)))


def frames_claimed(info: VideoInfo) -> int | None:
    """As the header says, or as its duration and rate do."""
    if info.frame_count is None and info.duration_s and info.frame_rate:
        return round(info.duration_s * info.frame_rate)
    return info.frame_count
