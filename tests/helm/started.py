"""A real `vitrail-serve` with the variables that the chart renders, its folders and ports put into the test's place."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PATIENCE_S = 60
_PORTS = {"VITRAIL_PORT": "0", "VITRAIL_GRPC_PORT": "0", "VITRAIL_ADMIN_PORT": "0", "VITRAIL_HOST": "127.0.0.1"}


@dataclass(frozen=True)
class Started:
    """Where a service listens."""

    process: "subprocess.Popen[bytes]"
    url: str
    admin_url: str
    grpc_address: str

    @property
    def port(self) -> str:
        """The port of ``url``."""
        return self.url.rpartition(":")[2]


@contextmanager
def started(settings: Mapping[str, str], folders: Mapping[str, Path], log: Path) -> Iterator[Started]:
    """Start a service with an admin port, and wait until it listens everywhere.

    Args:
        settings: the variables that the chart renders.
        folders: for paths in a pod the folders that stand for them here, such as ``/models``.
        log: where its log is written to.
    """
    here = {name: _here(value, folders) for name, value in settings.items()}
    environment = {**os.environ, **here, **_PORTS, "VITRAIL_LOG_FORMAT": "text"}
    with (
        log.open("wb") as output,
        subprocess.Popen([sys.executable, "-m", "service"], env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            url, admin = (_told(rf"{what} (https?://\S+)", process, log) for what in ("listening on", "admin calls on"))
            port = _told(r"listening for gRPC on port (\d+)", process, log)
            yield Started(process, url, admin, f"localhost:{port}")
        finally:
            process.kill()


def _here(value: str, folders: Mapping[str, Path]) -> str:
    for path, folder in folders.items():
        if value == path or value.startswith(f"{path}/"):
            return str(folder) + value.removeprefix(path)
    return value


def _told(pattern: str, process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + _PATIENCE_S
    while (found := re.search(pattern, log.read_text())) is None:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    return found[1]
