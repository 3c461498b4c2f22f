"""A real service over the real default models, shared by all end-to-end tests."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

_PATIENCE_S = 120


@pytest.fixture(scope="session")
def model_repository() -> Path:
    """The repository with the default models; `make models` builds them, and `make test` calls it first."""
    root = Path(os.environ.get("VITRAIL_TEST_REPOSITORY", Path(__file__).parents[2] / "model_repository"))
    if not (root / "efficientnet_lite0" / "1" / "card.json").is_file():
        pytest.fail(f"{root} lacks the default models; run `make models`")
    return root


@pytest.fixture(scope="session")
def gateway_url(model_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a running `vitrail-serve` over the default models."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("gateway") / "log"
    command = [sys.executable, "-m", "service", "--repository", str(model_repository), "--port", str(port)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as service:
        end = time.monotonic() + _PATIENCE_S
        while not _ready(url):
            if service.poll() is not None or time.monotonic() > end:
                service.kill()
                pytest.fail(f"the service did not become ready:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield url
        service.terminate()
        service.wait(30)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return response.status == 200
    except (urllib.error.URLError, ConnectionError):
        return False
