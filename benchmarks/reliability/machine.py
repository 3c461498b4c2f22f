"""Cases in which the machine is unkind: a full disk, a clock that jumps, too little memory, callers that crawl."""

import asyncio
import io
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
from PIL import Image

from benchmarks.photographs import photographs
from benchmarks.reliability.callers import Callers, Request
from benchmarks.reliability.chaos import Outcome, outcome, under_load
from benchmarks.reliability.processes import MODEL, PATH, Gateway, gateway, scratch
from benchmarks.reliability.slow_callers import crawl
from benchmarks.serving import CACHE, tried_models
from tests.service.video.clips import every, write_clip

_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
_MEMORY = Path("/sys/fs/cgroup/memory")
_DISK_BYTES = 16 << 20
_MEMORY_LEFT = 16 << 20
_BOUNDARY = "e4f1a0c2"


async def full_disk() -> Outcome:
    """Nothing can be written any more, neither for videos nor for what is large in a form."""
    with scratch() as folder, _small_disk(folder / "disk") as disk:
        (disk / "tmp").mkdir()
        options = {"videos": disk / "videos", "video-min-free-bytes": 1}
        clip = write_clip(folder / "clip.mp4", every(50)).read_bytes()
        async with _alone(folder, {"TMPDIR": str(disk / "tmp")}, **options) as service:
            callers = Callers(service.address, [*_photographs(service)[:4], _form(service, _picture(2400, 1600, 4))])
            statuses: list[int] = []

            async def breaks() -> None:
                _fill(disk)
                statuses.append(await _send_video(service, clip))

            async def mends() -> None:
                (disk / "filling").unlink()
                statuses.append(await _send_video(service, clip))

            mended = await under_load(callers, breaks, mends)
            what = "the disk of videos and of temporary files is full for 10 s; one request in five is a form of 2 MB"
            notes = {"video sent while full": statuses[0], "video sent after": statuses[1]}
            return outcome("full disk", what, callers.account, mended, **notes)


async def clock_jumps() -> Outcome:
    """The wall clock is put an hour ahead, and then two hours back."""
    with scratch() as folder:
        stamp = folder / "clock"
        stamp.write_text("+0")
        environment = {
            "LD_PRELOAD": str(_FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(stamp),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        async with _alone(folder, environment) as service:
            callers = Callers(service.address, _photographs(service))

            async def jump(hours: int) -> None:
                stamp.write_text(f"{hours * 3600:+d}")

            mended = await under_load(callers, lambda: jump(1), lambda: jump(-1))
            clock = await asyncio.to_thread(service.figure, "process_start_time_seconds") > 0
            what = "the wall clock is put an hour ahead, and 10 s later two hours back"
            return outcome("clock jumps", what, callers.account, mended, metrics_answer=clock)


async def little_memory() -> Outcome:
    """What is left of memory is less than the pictures that are sent would take together."""
    with scratch() as folder, _memory_group() as group:
        async with _alone(folder) as service:
            callers = Callers(service.address, [*_photographs(service)[:9], _large(service)])
            notes: dict[str, object] = {}

            async def breaks() -> None:
                # What the process has already is not counted again: only what it takes from now on.
                (group / "memory.limit_in_bytes").write_text(str(_MEMORY_LEFT))
                (group / "cgroup.procs").write_text(str(service.process.pid))

            async def mends() -> None:
                (group / "memory.limit_in_bytes").write_text("-1")
                notes["killed by the kernel"] = not service.running
                if not service.running:
                    await service.start()

            mended = await under_load(callers, breaks, mends)
            notes["times the limit was met"] = int((group / "memory.failcnt").read_text())
            (_MEMORY / "cgroup.procs").write_text(str(service.process.pid))
            what = "16 MB of memory are left for 10 s; one request in ten is a picture of 24 megapixels, 72 MB decoded"
            return outcome("little memory", what, callers.account, mended, **notes)


async def slow_callers() -> Outcome:
    """Hundreds of connections that send, or read, next to nothing."""
    with scratch() as folder:
        async with _alone(folder) as service:
            callers = Callers(service.address, _photographs(service))
            crawling: list[asyncio.Task[dict[str, object]]] = []
            descriptors = service.process.num_fds()

            async def breaks() -> None:
                crawling.append(asyncio.create_task(crawl(service.address, each=100)))

            async def mends() -> None:
                return

            mended = await under_load(callers, breaks, mends)
            notes = await crawling[0]
            await asyncio.sleep(1.0)
            notes["descriptors more than before"] = service.process.num_fds() - descriptors
            what = "300 connections crawl: a third in a request's head, a third in its body, a third reads no answer"
            return outcome("slow callers", what, callers.account, mended, **notes)


def obstacle(case: str) -> str | None:
    """Why a case cannot run on this machine; None if it can."""
    if case in ("full-disk", "memory") and os.geteuid() != 0:
        return "it needs root"
    if case == "clock" and not _FAKETIME.exists():
        return "it needs libfaketime (Debian: apt-get install libfaketime)"
    if case == "memory" and not (_MEMORY / "memory.limit_in_bytes").exists():
        return "it needs the memory controller of cgroup v1, and there is none"
    return None


MACHINE_CASES: dict[str, Callable[[], Awaitable[Outcome]]] = {
    "full-disk": full_disk,
    "clock": clock_jumps,
    "memory": little_memory,
    "slow": slow_callers,
}


@asynccontextmanager
async def _alone(folder: Path, environment: dict[str, str] | None = None, **options: object) -> AsyncIterator[Gateway]:
    """A gateway with the embedded engine."""
    async with gateway(tried_models([MODEL]), folder, environment, **options) as service:
        await Callers(service.address, _photographs(service)).come(10, 2)
        yield service


def _photographs(service: Gateway) -> list[Request]:
    return service.requests(photographs(CACHE / "photographs"))


def _picture(width: int, height: int, detail: int) -> bytes:
    """A JPEG of coloured patches, ``detail`` pixels each."""
    noise = np.random.default_rng(1).integers(0, 256, (height // detail, width // detail, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((width, height)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _large(service: Gateway) -> Request:
    return Request.post(service.url.removeprefix("http://"), PATH, _picture(6000, 4000, 200))


def _form(service: Gateway, picture: bytes) -> Request:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return Request.post(service.url.removeprefix("http://"), PATH, body, f"multipart/form-data; boundary={_BOUNDARY}")


async def _send_video(service: Gateway, clip: bytes) -> int:
    """The status of its answer; 0 for none."""
    request = Request.post(service.url.removeprefix("http://"), "/v1/videos?task=classify", clip, "video/mp4")
    account = await Callers(service.address, [request]).come(1, 1)
    return account.answers[0].status if account.answers else 0


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def _fill(disk: Path) -> None:
    with (disk / "filling").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@contextmanager
def _memory_group() -> Iterator[Path]:
    group = _MEMORY / f"vitrail-{uuid4().hex[:8]}"
    group.mkdir()
    try:
        yield group
    finally:
        for _ in range(50):
            # A group goes once the last of its processes has.
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
