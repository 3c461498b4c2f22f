"""``make soak-video``: whether videos and streams leave anything behind; written to ``SOAK.md``.

Each part has a service process of its own, which is looked at from outside: resident memory, threads, descriptors.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import onnxruntime

from benchmarks.footprint import Footprint, growth, median_mb, settled, watched
from benchmarks.long_clip import HEIGHT, RATE, WIDTH, write_long_clip
from benchmarks.photographs import photographs
from benchmarks.report import machine
from benchmarks.serving import CACHE, ROOT
from benchmarks.video_service import VideoService, video_service
from contract.task import Task
from tests.service.tiny_tasks import object_model, write_task
from tests.service.video.rtsp_camera import RtspCamera
from tests.tiny_models import COLOURS

MODEL = "middle"
ALLOWED = 0.05
"""By which memory may grow."""
_LOOK_S = 0.25
_SOON_S = 30.0
_WARM_UP = 10
"""The first cycles; memory after the next ten is compared with that after the last ten."""
_LARGE = 8
"""1280 x 768: frames of which it would be seen if any were kept."""
_AT_ONCE = 12
_CAMERA_RATE = 100
"""Frames a second; a stream's frames are known after some tens of them, so that a quick camera is connected quickly."""
_TRACKED = {"task": "detect", "track": True}


@dataclass(frozen=True)
class Part:
    """One part's figures."""

    name: str
    before: Footprint
    """After a little of the same."""
    early_mb: float
    late_mb: float
    growth: float
    most_mb: float
    after: Footprint
    """When all was over."""
    note: str
    along_mb: list[float]

    @property
    def passed(self) -> bool:
        """Memory flat, nothing left."""
        kept = self.after.threads > self.before.threads or self.after.fds > self.before.fds
        return self.growth < ALLOWED and not kept


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Look for what videos and streams leave behind.")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the long video")
    parser.add_argument("--cycles", type=int, default=200, help="of streams; half as many of jobs and WebSockets")
    parser.add_argument("--quick", action="store_true", help="3 minutes, 80 cycles: a trial")
    parser.add_argument("--report", type=Path, default=ROOT / "SOAK.md")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.minutes, arguments.cycles = 3.0, 80
    onnxruntime.set_default_logger_severity(3)
    tell = partial(print, file=sys.stderr, flush=True)
    begun = time.monotonic()
    parts = _parts(arguments.minutes, arguments.cycles, tell)
    arguments.report.write_text(_report(parts, arguments.minutes, time.monotonic() - begun))
    sys.exit(0 if all(part.passed for part in parts) else "something grew, or was left")


def _parts(minutes: float, cycles: int, tell: Callable[[str], None]) -> list[Part]:
    long = _clip(f"long_{minutes:g}.mp4", minutes * 60, tell)
    short, camera = _clip("short.mp4", 120, tell), _clip("camera.h264", 20, tell)
    large = _clip("large.mp4", 20, tell, scale=_LARGE)
    parts: list[Callable[[VideoService], Part]] = [
        lambda service: long_video(service, long, short, "one long video, tracked", **_TRACKED),
        lambda service: long_video(service, long, short, "the same, annotated", **_TRACKED, annotate=True),
        lambda service: streams(service, camera, cycles),
        lambda service: jobs(service, large, cycles // 2),
        lambda service: sockets(service, cycles // 2),
    ]
    return [_in_a_service_of_its_own(part, short, tell) for part in parts]


def _in_a_service_of_its_own(part: Callable[[VideoService], Part], clip: Path, tell: Callable[[str], None]) -> Part:
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        write_task(repository, MODEL, Task.DETECT, object_model(masks=False), labels=COLOURS)
        with video_service(repository, Path(folder), "--allowed-urls", "rtsp://127.0.0.1:*") as service:
            _fill_pools(service, clip)
            found = part(service)
            if told := service.log.read_text():
                tell(f"the service's log has:\n{told[-2000:]}")
    tell(_row(found))
    return found


def _fill_pools(service: VideoService, clip: Path) -> None:
    """Make the service start the threads of its pools, which come as they are needed: none of them is left behind."""
    with httpx.Client(base_url=service.base, timeout=60) as client, ThreadPoolExecutor(_AT_ONCE) as callers:
        busy = replace(service, client=client)
        for sent in list(callers.map(lambda _: busy.submit(clip, **_TRACKED), range(_AT_ONCE))):
            service.delete(sent["id"])


def long_video(service: VideoService, clip: Path, warm_up: Path, name: str, **wanted: Any) -> Part:
    """One job, after one over a short clip; memory of the second tenth of its time against that of the last tenth."""
    service.run(warm_up, **wanted)
    before = Footprint.of(service.process)
    with watched(service.process, _LOOK_S) as seen:
        run = service.run(clip, **wanted)
    tenth = max(1, len(seen) // 10)
    note = f"{run.frames:,} frames in {run.seconds:.0f} s"
    return _part(service, name, before, seen, (seen[tenth : 2 * tenth], seen[-tenth:]), note)


def streams(service: VideoService, camera: Path, cycles: int) -> Part:
    """A live source begun and ended, over and over; each gives a frame at least."""

    def cycle(url: str) -> None:
        stream_id = service.start_stream(url, **_TRACKED)["id"]
        _until(lambda: service.stream(stream_id)["frames"]["processed"] > 0)
        service.end_stream(stream_id)

    with RtspCamera(camera, _CAMERA_RATE, pause_s=1 / _CAMERA_RATE, endless=True) as playing:
        return _cycles(service, f"{cycles} streams begun and ended", cycles, lambda: cycle(playing.url))


def jobs(service: VideoService, clip: Path, cycles: int) -> Part:
    """A job sent, cancelled in its middle, and removed, over and over."""

    def cycle() -> None:
        job_id = service.submit(clip, **_TRACKED)["id"]
        _until(lambda: service.status(job_id)["frames"]["done"] > 0)
        service.cancel(job_id)
        service.delete(job_id)

    return _cycles(service, f"{cycles} jobs cancelled and removed", cycles, cycle)


def sockets(service: VideoService, cycles: int) -> Part:
    """A WebSocket opened, given frames, and dropped without a word, over and over."""
    image = photographs(CACHE / "photographs")[0].read_bytes()
    return _cycles(
        service,
        f"{cycles} WebSockets opened and dropped",
        cycles,
        lambda: asyncio.run(_opened_and_dropped(service.base, image)),
    )


async def _opened_and_dropped(base: str, image: bytes) -> None:
    async with aiohttp.ClientSession(base) as session:
        # Leaving the session closes the connection below the WebSocket, which is told nothing.
        socket = await session.ws_connect(f"/v1/stream?task=detect&model={MODEL}", compress=0)
        for _ in range(8):
            await socket.send_bytes(image)
        await socket.receive()


def _cycles(service: VideoService, name: str, cycles: int, cycle: Callable[[], None]) -> Part:
    """Do it over and over; what is held after the first cycles against what is held after all."""
    seen: list[Footprint] = []
    begun = time.monotonic()
    for _ in range(cycles):
        cycle()
        seen.append(Footprint.of(service.process))
    seconds = time.monotonic() - begun
    early = seen[_WARM_UP : 2 * _WARM_UP]
    note = f"{seconds / cycles * 1e3:.0f} ms a cycle"
    return _part(service, name, early[-1], seen, (early, seen[-_WARM_UP:]), note)


def _part(
    service: VideoService,
    name: str,
    before: Footprint,
    seen: list[Footprint],
    compared: tuple[list[Footprint], list[Footprint]],
    note: str,
) -> Part:
    after = settled(service.process, before)
    most_mb = max(one.rss_mb for one in seen)
    along = [one.rss_mb for one in seen[:: max(1, len(seen) // 10)]]
    early_mb, late_mb = map(median_mb, compared)
    return Part(name, before, early_mb, late_mb, growth(*compared), most_mb, after, note, along)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _SOON_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing was processed within {_SOON_S:g} s")
        time.sleep(0.01)


def _clip(name: str, seconds: float, tell: Callable[[str], None], scale: int = 1) -> Path:
    path = CACHE / "soak" / name
    if not path.is_file():
        tell(f"making {name}")
        write_long_clip(path.with_stem("unfinished"), seconds, scale).rename(path)
    return path


_TEXT = """# What videos and streams leave behind

Written by `make soak-video`; do not edit. The service's process, looked at from outside; each part has one of its own,
and a model so small that the service's own work is what counts.
{machine}, {date}; {took:.0f} minutes in all.

| | | memory early → late, MB | **growth** | most MB | threads | descriptors | |
|---|---|---|---|---|---|---|---|
{rows}

*One long video*: {minutes:g} minutes of {width} x {height} at {rate} frames/s, each frame processed; after a short job,
the median of the second tenth of its time against that of the last. *Over and over*: the median after cycles {first}
to {last} against that after the last {ten}. Streams are of an RTSP camera on loopback, and each gives a processed frame
before it is ended; jobs are cancelled in the middle of a video of {large_width} x {large_height}; WebSockets send eight
frames, take one answer, and are dropped by closing the connection. *Threads* and *descriptors* are those before (over
and over: after cycle {last}) → when all is over; the service's pools had all their threads before. Less than
{allowed:.0%} growth is wanted, and no thread or descriptor more.

Memory along the way, MB, at even distances:

{along}
"""


def _report(parts: list[Part], minutes: float, took_s: float) -> str:
    return _TEXT.format(
        machine=machine(),
        date=datetime.now(UTC).strftime("%B %Y"),
        took=took_s / 60,
        rows="\n".join(map(_row, parts)),
        minutes=minutes,
        width=WIDTH,
        height=HEIGHT,
        rate=RATE,
        large_width=_LARGE * WIDTH,
        large_height=_LARGE * HEIGHT,
        first=_WARM_UP + 1,
        last=2 * _WARM_UP,
        ten=_WARM_UP,
        allowed=ALLOWED,
        along="\n".join(f"- {part.name}: {' '.join(f'{mb:.0f}' for mb in part.along_mb)}" for part in parts),
    )


def _row(part: Part) -> str:
    return (
        f"| {part.name} | {part.note} | {part.early_mb:.1f} → {part.late_mb:.1f} | **{part.growth:+.1%}** "
        f"| {part.most_mb:.0f} | {part.before.threads} → {part.after.threads} "
        f"| {part.before.fds} → {part.after.fds} | {'passed' if part.passed else 'failed'} |"
    )


if __name__ == "__main__":
    main()
