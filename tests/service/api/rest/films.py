"""The routes of video jobs on a real socket, over the tiny models."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from contract.task import Task
from service.api.rest.body import BodyLimits
from service.api.rest.videos import VideoRoutes
from service.video.download import Download
from service.video.jobs import Jobs
from service.video.opening import VideoOptions
from service.video.probe import Probe
from tests.service.api.listening import listening
from tests.service.running import Running
from tests.service.tiny_tasks import object_model, write_task
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import PausingEngine, filming, grey
from tests.tiny_models import COLOURS, write_version

LIMITS = BodyLimits(max_bytes=1 << 20, max_images=1, timeout_s=5.0, stall_s=5.0)


@dataclass
class Films:
    """The routes, a client of them, and what is behind them."""

    client: httpx.AsyncClient
    jobs: Jobs
    port: int
    folder: Path
    """Of the jobs."""
    service: Running
    paused: list[PausingEngine] = field(default_factory=list)

    def pause_after(self, frames: int) -> PausingEngine:
        """Let the detector answer so many batches, and keep what comes then until its gate is opened, or the end."""
        engine = self.service.engines["middle:1"]
        engine.engine = pausing = PausingEngine(engine.engine, after=frames)
        self.paused.append(pausing)
        return pausing

    async def send(self, clip: Path, query: str = "task=detect", **headers: str) -> httpx.Response:
        """Send a file as it is; header names with ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content = await asyncio.to_thread(clip.read_bytes)
        return await self.client.post(f"/v1/videos?{query}", content=content, headers=named)

    async def sent(self, clip: Path, query: str = "task=detect", **headers: str) -> str:
        """The path of the job over a file."""
        response = await self.send(clip, query, **headers)
        assert response.status_code == 202, response.text
        return response.headers["Location"]

    async def lines(self, path: str, from_frame: int = 0) -> list[dict[str, Any]]:
        """All lines of a job, once it has ended."""
        response = await self.client.get(f"{path}/results?from_frame={from_frame}")
        assert response.status_code == 200, response.text
        return [orjson.loads(line) for line in response.content.splitlines()]

    async def ended(self, path: str) -> dict[str, Any]:
        """The status of a job once it has ended."""
        await self.lines(path)
        async with asyncio.timeout(30):
            while (status := (await self.client.get(path)).json())["state"] in ("queued", "running"):  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return dict(status)

    def kept(self) -> list[str]:
        """The names of all files of all jobs."""
        return sorted(path.name for path in (self.folder / "jobs").glob("*/*"))

    def handles(self) -> int:
        """How often this process has results open, to write or to read them."""
        opened = [_target(entry) for entry in Path("/proc/self/fd").iterdir()]
        return sum(path.startswith(str(self.folder)) and "results.ndjson" in path for path in opened)

    def folders(self) -> int:
        """How many jobs have files."""
        return len(list((self.folder / "jobs").glob("*")))


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except FileNotFoundError:  # closed since it was listed
        return ""


@asynccontextmanager
async def films_of(
    folder: Path,
    service: Running,
    *,
    limits: BodyLimits = LIMITS,
    options: VideoOptions | None = None,
    download: Download | None = None,
    **changes: Any,
) -> AsyncIterator[Films]:
    """Routes and jobs that end together."""
    application = service.application
    async with filming(folder, service, **changes) as jobs:
        probe = Probe(options or VideoOptions())
        routes = VideoRoutes(jobs, application.inference, application.telemetry, limits, probe, download)
        app = FastAPI()
        app.include_router(routes.router())
        async with (
            listening(app) as listener,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", timeout=30) as client,
        ):
            films = Films(client, jobs, listener.port, folder, service)
            try:
                yield films
            finally:
                for pausing in films.paused:
                    pausing.gate.set()


def film_models(root: Path) -> Path:
    """Write a detector and a classifier."""
    write_task(root, "middle", Task.DETECT, object_model(masks=False), labels=COLOURS)
    write_version(root, "colours")
    return root


def a_clip(folder: Path, frames: int = 10) -> Path:
    """A clip whose frames are bright, so that something is found in each."""
    return write_clip(folder / f"clip{frames}.mp4", every(frames), paint=grey)


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem document."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]
