"""A real Triton, from NVIDIA's wheel: no container, no GPU. Where it cannot run, what needs it is skipped."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError

import pytest

_START_S = 30.0
_STOP_S = 15.0


class TritonServer:
    """One server over a repository; it may be killed and started again on the same ports."""

    def __init__(self, repository: Path, scratch: Path, *arguments: str) -> None:
        self.repository = repository
        self._scratch = scratch
        self._arguments = arguments
        self._root = _installed()
        self._backends = _backends(self._root, scratch)
        self._http, self._grpc = _free_ports(2)
        self._prefix = f"vitrail_test_{os.getpid()}_{self._grpc}"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = time.time()

    @property
    def url(self) -> str:
        """Where gRPC listens."""
        return f"127.0.0.1:{self._grpc}"

    @property
    def log(self) -> str:
        """All that the server has said."""
        return (self._scratch / "triton.log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The server's process, which leads its group."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it is alive."""
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
            "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
            "OMP_NUM_THREADS": "1",
            "TMPDIR": str(self._scratch),
        }
        with (self._scratch / "triton.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, env=environment, start_new_session=True
            )
        end = time.monotonic() + _START_S
        while not self._alive():
            if time.monotonic() > end or self._process.poll() is not None:
                self.kill()
                raise RuntimeError(f"Triton does not start:\n{self.log[-3000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End the server and its stubs at once, as a crash of the machine would."""
        if self._process is not None:
            _signal_group(self._process, signal.SIGKILL)
            self._process.wait(_STOP_S)
            self._process = None
        for left in Path("/dev/shm").glob(f"{self._prefix}*"):  # noqa: S108  where Triton's stubs keep theirs
            left.unlink(missing_ok=True)
        for left in Path("/tmp").glob("python_env_*"):  # noqa: S108  Triton asks nobody where
            # An empty folder, one for each server; what is younger than this one is its own or missed by nobody.
            with suppress(OSError):
                if left.stat().st_mtime >= self._started:
                    left.rmdir()

    def stop(self) -> None:
        """Ask the server to end, and see to it that it has."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        self.kill()

    def stubs(self) -> list[int]:
        """The processes that run Python models."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == self.pid:
                found.append(int(folder.name))
        return found

    def _alive(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._http}/v2/health/live", timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _command(self) -> list[str]:
        return [
            str(self._root / "bin" / "tritonserver"),
            f"--model-repository={self.repository}",
            f"--backend-directory={self._backends}",
            f"--cache-directory={self._root / 'caches'}",
            "--http-address=127.0.0.1",
            "--grpc-address=127.0.0.1",
            f"--http-port={self._http}",
            f"--grpc-port={self._grpc}",
            "--allow-metrics=false",
            "--model-control-mode=explicit",
            "--exit-on-error=false",
            "--disable-auto-complete-config",
            "--pinned-memory-pool-byte-size=0",
            "--exit-timeout-secs=5",
            f"--backend-config=python,shm-region-prefix-name={self._prefix}",
            *self._arguments,
        ]


@contextmanager
def triton_server(repository: Path, *arguments: str) -> Iterator[TritonServer]:
    """A server that runs, and is gone without a trace at the end."""
    scratch = Path(tempfile.mkdtemp(prefix="vitrail-triton-"))
    try:
        server = TritonServer(repository, scratch, *arguments)
        try:
            server.start()
            yield server
        finally:
            # Killed, for a graceful end takes seconds and its scratch folder goes anyway.
            server.kill()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def require_triton() -> None:
    """Skip, and say why, where no real Triton can run."""
    if reason := _obstacle():
        pytest.skip(reason)


def _obstacle() -> str | None:
    if find_spec("pytriton") is None:
        return "nvidia-pytriton, whose wheel holds Triton, is not installed"
    root = _installed()
    if not _stub(root).is_file():
        return f"Triton's wheel has no stub for Python {sys.version_info[0]}.{sys.version_info[1]}"
    if not list(Path(str(sysconfig.get_config_var("LIBDIR"))).glob("libpython3*.so*")):
        return "this Python has no shared library, which Triton's Python backend needs"
    try:
        subprocess.run([root / "bin" / "tritonserver", "--help"], check=False, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Triton's wheel does not run on this machine: {error}"
    return None


def _installed() -> Path:
    spec = find_spec("pytriton")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "tritonserver"


def _stub(root: Path) -> Path:
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return root / "python_backend_stubs" / version / "triton_python_backend_stub"


def _backends(root: Path, scratch: Path) -> Path:
    """A folder with the Python backend, and the stub that fits this Python."""
    folder = scratch / "backends"
    (folder / "python").mkdir(parents=True)
    files = [root / "backends" / "python" / name for name in ("libtriton_python.so", "triton_python_backend_utils.py")]
    for file in (*files, _stub(root)):
        (folder / "python" / file.name).symlink_to(file)
    return folder


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
