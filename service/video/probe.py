"""A look at a video that has just come: can its first frame be decoded?"""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

from service.errors import ErrorKind, ServiceError
from service.video.decoding import Decoding
from service.video.disk import to_its_end
from service.video.opening import InvalidVideo, VideoOptions, VideoTooLarge, open_video


class Probe:
    """Decodes the first frame of files, in threads, some at a time; what it says is said before a job is queued."""

    def __init__(self, options: VideoOptions, *, at_once: int = 2, patience_s: float = 20.0) -> None:
        """``patience_s``: a file of which no frame can be decoded for so long is no video."""
        self._options = options
        self._patience_s = patience_s
        self._places = asyncio.Semaphore(at_once)

    async def check(self, path: Path) -> None:
        """Return if the file is a video.

        Raises:
            ServiceError: invalid_video where it is none, or nothing of it can be decoded; too_large for its frames.
        """
        stop = threading.Event()
        async with self._places:
            timer = asyncio.get_running_loop().call_later(self._patience_s, stop.set)
            work = asyncio.ensure_future(asyncio.to_thread(self._check, path, stop))
            work.add_done_callback(lambda _: timer.cancel())
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                stop.set()
                # The file is not taken away under a thread that reads it.
                with suppress(InvalidVideo, VideoTooLarge):
                    await to_its_end(work)
                raise
            except VideoTooLarge as error:
                raise ServiceError(ErrorKind.TOO_LARGE, str(error)) from error
            except InvalidVideo as error:
                raise ServiceError(ErrorKind.INVALID_VIDEO, str(error)) from error

    def _check(self, path: Path, stop: threading.Event) -> None:
        opened = open_video(path, self._options)
        try:
            decoding = Decoding(opened, self._options, stop)
            if next(decoding.pictures(), None) is not None:
                return
            late = f"not within {self._patience_s:g} s" if stop.is_set() else ""
            why = decoding.damage.first_reason or decoding.damage.ended or late
            raise InvalidVideo("no frame of the video can be decoded" + (f": {why}" if why else ""))
        finally:
            opened.close()
