"""Live streams from end to end: a camera that is cut and comes back, and the end of the service in the middle."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.gateway import Gateway, gateway
from tests.service.video.clips import every, write_clip
from tests.service.video.rtsp_camera import RtspCamera


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees."""
    return write_clip(tmp_path_factory.mktemp("camera") / "camera.h264", every(50))


@pytest.fixture
def watching(tiny_repository: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A service that may call cameras on this machine."""
    with gateway(tiny_repository, tmp_path / "log", allowed_urls="rtsp://127.0.0.1:*") as running:
        yield running


def _begun(running: Gateway, url: str) -> Any:
    wanted = {"url": url, "task": "classify", "model": "colours"}
    answer = httpx.post(f"{running.url}/v1/streams", json=wanted, timeout=30)
    assert answer.status_code == 201, answer.text
    return answer.json()


def _lines(running: Gateway, stream: str, count: int) -> list[dict[str, Any]]:
    with httpx.stream("GET", f"{running.url}/v1/streams/{stream}/results", timeout=30) as answer:
        return [json.loads(line) for line in islice(answer.iter_lines(), count)]


def test_a_camera_that_is_cut_comes_back(watching: Gateway, clip: Path) -> None:
    """A camera that dies and is restarted goes on under the same stream: times never step back."""
    with RtspCamera(clip, pause_s=0.02, endless=True) as camera:
        stream = _begun(watching, camera.url)["id"]
        before = _lines(watching, stream, 5)
        port = camera.port
    watching.until_figure("vitrail_streams_total", 1, state="reconnecting")
    with RtspCamera(clip, pause_s=0.02, endless=True, port=port):
        after = _lines(watching, stream, 5)
        status = httpx.get(f"{watching.url}/v1/streams/{stream}", timeout=30).json()
    times = [line["timestamp_s"] for line in before + after]
    assert times == sorted(times)
    assert (status["state"], status["connections"]) == ("running", 2)
    assert httpx.delete(f"{watching.url}/v1/streams/{stream}", timeout=30).status_code == 204
    watching.until_figure("vitrail_streams_now", 0)


@pytest.mark.parametrize("signals", [1, 2])
def test_the_end_of_the_service(watching: Gateway, clip: Path, signals: int) -> None:
    """A stream that runs does not hold up the end; nor does a silent source, where the end is to be at once."""
    with RtspCamera(clip, pause_s=0.02, endless=True) as camera, socket.create_server(("127.0.0.1", 0)) as silent:
        stream = _begun(watching, camera.url)["id"]
        if signals == 2:
            _begun(watching, f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x")
        assert len(_lines(watching, stream, 2)) == 2
        for _ in range(signals):
            watching.process.send_signal(signal.SIGTERM)
            # The service looks at its flags ten times a second; the first signal should be seen before the second.
            time.sleep(0.3)
        assert watching.process.wait(25) == signals - 1
    assert "Traceback" not in watching.log.read_text()


def test_an_address_that_nobody_listed(tiny_gateway: Gateway) -> None:
    """Without --allowed-urls the service calls nobody, and says what its operator can do."""
    wanted = {"url": "rtsp://127.0.0.1/x", "task": "classify", "model": "colours"}
    refused = httpx.post(f"{tiny_gateway.url}/v1/streams", json=wanted, timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "--allowed-urls" in refused.json()["detail"]
