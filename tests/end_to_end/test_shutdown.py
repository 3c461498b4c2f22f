"""The end of a real service: what was begun is finished, nothing new is promised, and the status says how it went."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.gateway import Gateway, gateway
from tests.end_to_end.slow_model import slow_model
from tests.service.running import RED
from tests.tiny_models import write_version


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    """Threads of callers."""
    with ThreadPoolExecutor(40) as crowd:
        yield crowd


def ask(running: Gateway, model: str = "slow") -> int:
    """The status of a request, or 0 if the connection broke."""
    path = f"{running.url}/v1/classify?model={model}"
    try:
        return httpx.post(path, content=RED, headers={"Content-Type": "image/png"}, timeout=60).status_code
    except httpx.TransportError:
        return 0


def begin(running: Gateway, crowd: ThreadPoolExecutor, requests: int) -> list["Future[int]"]:
    """Slow requests that are all admitted and not yet answered."""
    begun = [crowd.submit(ask, running) for _ in range(requests)]
    running.until_figure("vitrail_images_in_flight", requests)
    return begun


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_what_was_begun_is_finished(
    sig: signal.Signals, tiny_repository: Path, tmp_path: Path, crowd: ThreadPoolExecutor
) -> None:
    """Requests in flight at the signal are answered; then the process ends with 0, and the port is closed."""
    with gateway(tiny_repository, tmp_path / "log", threads=2) as running:
        begun = begin(running, crowd, 6)
        assert running.leave(sig) == 0
        assert [request.result() for request in begun] == [200] * 6
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), timeout=5)
        assert "Traceback" not in running.log.read_text()


def test_readiness_goes_first(tiny_repository: Path, tmp_path: Path) -> None:
    """During the delay the service says that it is not ready, and still answers who comes all the same."""
    with gateway(tiny_repository, tmp_path / "log", drain_delay_s=3) as running:
        running.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 30
        while (ready := httpx.get(f"{running.url}/readyz", timeout=30)).status_code == 200:
            assert time.monotonic() < end
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")
        assert ask(running, "colours") == 200
        assert httpx.get(f"{running.url}/healthz", timeout=30).status_code == 200
        assert running.process.wait(60) == 0


@pytest.mark.parametrize("delay", [0, 600])
def test_a_second_signal_ends_it_at_once(
    delay: float, tiny_repository: Path, tmp_path: Path, crowd: ThreadPoolExecutor
) -> None:
    """Who asks twice does not wait: work that has not begun is dropped, and the status says that it was."""
    with gateway(tiny_repository, tmp_path / "log", threads=1, drain_delay_s=delay) as running:
        begun = begin(running, crowd, 40)
        running.process.send_signal(signal.SIGTERM)
        # The service looks at its flags ten times a second; the first signal should be seen before the second.
        time.sleep(0.3)
        assert running.leave() == 1
        answers = [request.result() for request in begun]
    assert answers.count(200) < 40


def test_an_end_before_the_models_are_loaded(tmp_path: Path) -> None:
    """Who is told to end while still loading ends cleanly, and loads no further."""
    for version in range(1, 5):
        write_version(tmp_path / "slow", "slow", version, model=slow_model(), batch_sizes=(1,))
    log = tmp_path / "log"
    command = [sys.executable, "-m", "service", "--repository", str(tmp_path / "slow"), "--port", "0"]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        end = time.monotonic() + 60
        while "listening on" not in log.read_text():
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert "slow:4 is ready" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_port_that_is_taken(tiny_repository: Path) -> None:
    """Where another listens already, the process says so and ends with an error."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "-m", "service", "--repository", str(tiny_repository), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr
