"""The service as a process of its own, whose video jobs are asked for as a caller does: over REST."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

_START_S = 60.0
_LOOK_S = 0.05
_ASK_S = 1.0
"""Between two looks at a job: each costs the service, and the processors that it shares, some milliseconds."""
_ENDED = ("done", "failed", "cancelled")
_TIMEOUT = httpx.Timeout(60.0)


@dataclass(frozen=True)
class JobRun:
    """A job at its end."""

    status: dict[str, Any]
    lines: list[dict[str, Any]]
    cpu_s: float
    """User and system seconds of the service, from the first byte of the upload to the job's end."""

    @property
    def seconds(self) -> float:
        """From the moment at which it began to run to its end, by its own account."""
        begun, ended = (datetime.fromisoformat(self.status[name]) for name in ("started", "finished"))
        return (ended - begun).total_seconds()

    @property
    def frames(self) -> int:
        """Frames of the video."""
        return int(self.status["frames"]["done"])

    @property
    def processed(self) -> int:
        """Frames that the model saw."""
        return int(self.status["frames"]["processed"])

    @property
    def frames_per_s(self) -> float:
        """Of those that the model saw."""
        return self.processed / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds for each frame of the video."""
        return self.cpu_s / self.frames * 1e3


@dataclass(frozen=True)
class VideoService:
    """A service that runs."""

    client: httpx.Client
    process: psutil.Process
    base: str
    log: Path

    def submit(self, clip: Path, **wanted: Any) -> dict[str, Any]:
        """Send a video; the status of its job."""
        with clip.open("rb") as file:
            return self._json("POST", "/v1/videos", params=_query(wanted), content=file)

    def status(self, job_id: str) -> dict[str, Any]:
        """How a job stands."""
        return self._json("GET", f"/v1/videos/{job_id}")

    def ended(self, job_id: str) -> dict[str, Any]:
        """A job's status at its end, which must be a good one."""
        while (status := self.status(job_id))["state"] not in _ENDED:
            time.sleep(_ASK_S)
        if status["state"] != "done":
            raise RuntimeError(f"the job {status['state']}: {status['error']}")
        return status

    def run(self, clip: Path, **wanted: Any) -> JobRun:
        """Send a video, wait for the end of its job, and read its lines."""
        before = self.cpu_s()
        job_id = self.submit(clip, **wanted)["id"]
        status = self.ended(job_id)
        cpu_s = self.cpu_s() - before
        text = self._asked("GET", f"/v1/videos/{job_id}/results").content
        return JobRun(status, [orjson.loads(line) for line in text.splitlines()], cpu_s)

    def annotated(self, job_id: str, path: Path) -> Path:
        """The annotated video of a job, written to a path."""
        path.write_bytes(self._asked("GET", f"/v1/videos/{job_id}/annotated.mp4").content)
        return path

    def cancel(self, job_id: str) -> None:
        """End a job."""
        self._asked("POST", f"/v1/videos/{job_id}:cancel")

    def delete(self, job_id: str) -> None:
        """Remove a job."""
        self._asked("DELETE", f"/v1/videos/{job_id}")

    def start_stream(self, url: str, **wanted: Any) -> dict[str, Any]:
        """Watch a live source; the stream's status."""
        return self._json("POST", "/v1/streams", json={"url": url, **wanted})

    def stream(self, stream_id: str) -> dict[str, Any]:
        """How a stream stands."""
        return self._json("GET", f"/v1/streams/{stream_id}")

    def end_stream(self, stream_id: str) -> None:
        """End a stream; what it held is free then."""
        self._asked("DELETE", f"/v1/streams/{stream_id}")

    def cpu_s(self) -> float:
        """User and system seconds of the process so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def _asked(self, method: str, path: str, **how: Any) -> httpx.Response:
        response = self.client.request(method, path, **how)
        if response.is_error:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text[:400]}")
        return response

    def _json(self, method: str, path: str, **how: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._asked(method, path, **how).json()
        return answer


@contextlib.contextmanager
def video_service(repository: Path, folder: Path, *options: str) -> Iterator[VideoService]:
    """A running service over a repository, ready; its videos and its log are in ``folder``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "service", "--repository", str(repository), "--port", str(port)]
    command += ["--grpc-port", "0", "--videos", str(folder / "videos"), *options]
    base, log = f"http://127.0.0.1:{port}", folder / "service.log"
    with (
        log.open("wb") as told,
        subprocess.Popen(
            command, stdout=told, stderr=subprocess.STDOUT, env={**os.environ, "VITRAIL_LOG_LEVEL": "warning"}
        ) as started,
        httpx.Client(base_url=base, timeout=_TIMEOUT) as client,
    ):
        try:
            _wait_until_ready(client, started, log)
            yield VideoService(client, psutil.Process(started.pid), base, log)
        finally:
            started.terminate()
            started.wait(60)


def _wait_until_ready(client: httpx.Client, started: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_S
    while not _ready(client):
        if started.poll() is not None or time.monotonic() > end:
            sys.exit(f"the service did not start:\n{log.read_text()[-2000:]}")
        time.sleep(_LOOK_S)


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _query(wanted: dict[str, Any]) -> dict[str, str]:
    """Query parameters as text: true and false in lower case, what has members as JSON."""
    return {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in wanted.items()}
