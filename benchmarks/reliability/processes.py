"""What is put under stress: a gateway in a process of its own, and a real Triton, near or behind a network."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psutil

from benchmarks.reliability.callers import Request
from benchmarks.reliability.network import Link
from benchmarks.serving import CACHE
from tests.tiny_models import as_twins
from tests.triton_server import TritonServer

MODEL = "efficientnet_lite0"
PATH = f"/v1/classify?model={MODEL}"
_START_S = 60.0
_HOST = "127.0.0.1"


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="vitrail-reliability-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def twins(folder: Path) -> Path:
    """A repository whose one model Triton runs by its Python backend, and the embedded engine by itself."""
    shutil.copytree(CACHE / "repository" / MODEL, folder / "repository" / MODEL)
    as_twins(folder / "repository")
    return folder / "repository"


class DistantTriton(TritonServer):
    """A Triton behind a link."""

    def __init__(self, repository: Path, folder: Path, link: Link) -> None:
        super().__init__(repository, folder)
        self._link = link

    @property
    def url(self) -> str:
        """Where gRPC listens, seen from here."""
        return super().url.replace(_HOST, self._link.there)

    def _alive(self) -> bool:
        url = f"http://{self._link.there}:{self._http}/v2/health/live"
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _command(self) -> list[str]:
        return [*self._link.command, *(part.replace(_HOST, self._link.there) for part in super()._command())]


class Gateway:
    """A `vitrail-serve` that may be killed and started again on the same port."""

    def __init__(
        self, repository: Path, folder: Path, environment: Mapping[str, str] | None = None, **settings: object
    ) -> None:
        self.log = folder / "gateway.log"
        self.port = 0
        self._environment = {**os.environ, **(environment or {})}
        self._settings = {"repository": repository, "videos": folder / "videos", "grpc-port": 0, **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return _HOST, self.port

    @property
    def url(self) -> str:
        """The same as a URL."""
        return f"http://{_HOST}:{self.port}"

    @property
    def process(self) -> psutil.Process:
        """The process."""
        if self._process is None:
            raise RuntimeError("it does not run")
        return psutil.Process(self._process.pid)

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> float:
        """Start, and wait until it is ready; the seconds that took."""
        begun, said = time.monotonic(), self._launch()
        while not await asyncio.to_thread(self._ready, said):
            if not self.running or time.monotonic() > begun + _START_S:
                raise RuntimeError(f"the gateway does not start:\n{self.log.read_text()[-3000:]}")
            await asyncio.sleep(0.05)
        return time.monotonic() - begun

    def _launch(self) -> int:
        """Start the process; the length of its log before."""
        command = [sys.executable, "-m", "service", "--port", str(self.port)]
        for name, value in self._settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        with self.log.open("ab") as output:
            said = self.log.stat().st_size
            self._process = subprocess.Popen(command, stdout=output, stderr=output, env=self._environment)
        return said

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def drain(self) -> int:
        """Ask it to end; its exit status."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 60)

    def requests(self, files: list[Path], path: str = PATH) -> list[Request]:
        """A request for each file."""
        return [Request.post(f"{_HOST}:{self.port}", path, file.read_bytes()) for file in files]

    def figure(self, name: str) -> float:
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)", text, re.MULTILINE))

    def _ready(self, said: int) -> bool:
        found = re.search(r"listening on http://\S+:(\d+)", self.log.read_text()[said:])
        if found is None:
            return False
        self.port = int(found[1])
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@asynccontextmanager
async def gateway(
    repository: Path, folder: Path, environment: Mapping[str, str] | None = None, **settings: object
) -> AsyncIterator[Gateway]:
    """A gateway that is ready, and gone at the end."""
    service = Gateway(repository, folder, environment, **settings)
    try:
        await service.start()
        yield service
    finally:
        service.kill()
