"""A real `vitrail-serve` in a process of its own."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

_PATIENCE_S = 120


@dataclass(frozen=True)
class Gateway:
    """Where it listens, its process, and what it logs."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def port(self) -> int:
        """The port of ``url``."""
        return int(self.url.rsplit(":", 1)[1])

    @property
    def grpc_address(self) -> str:
        """Where it answers gRPC."""
        found = re.search(r"listening for gRPC on port (\d+)", self.log.read_text())
        assert found is not None
        return f"127.0.0.1:{found[1]}"

    def figure(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name that have these labels."""
        families = text_string_to_metric_families(httpx.get(f"{self.url}/metrics", timeout=30).text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def until_figure(self, name: str, value: float, **labels: str) -> None:
        """Wait until a figure has that value."""
        end = time.monotonic() + 30
        while (found := self.figure(name, **labels)) != value:
            assert time.monotonic() < end, f"{name} stays at {found}"
            time.sleep(0.02)

    def leave(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and give the exit status."""
        self.process.send_signal(sig)
        return self.process.wait(60)


@contextmanager
def gateway(repository: Path, log: Path, **settings: object) -> Iterator[Gateway]:
    """Serve a repository on a free port, and wait until it is ready; at the end it is killed if it still runs."""
    command = [sys.executable, "-m", "service", "--repository", str(repository), "--port", "0"]
    for name, value in {"videos": log.with_name("videos"), **settings}.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            url = _address(process, log)
            while httpx.get(f"{url}/readyz", timeout=30).status_code != 200:
                _require_alive(process, log)
                time.sleep(0.05)
            yield Gateway(url, process, log)
        finally:
            if process.poll() is None:
                process.kill()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + _PATIENCE_S
    while (found := re.search(r"listening on (\S+)", log.read_text())) is None:
        _require_alive(process, log)
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.05)
    return found[1]


def _require_alive(process: "subprocess.Popen[bytes]", log: Path) -> None:
    assert process.poll() is None, f"the service ended with {process.returncode}:\n{log.read_text()[-2000:]}"
