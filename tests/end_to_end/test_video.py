"""Videos from end to end: docs/video.md's examples as they stand, and what a job outlives."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from skimage import data

from contract.preprocess import Pixels
from tests.end_to_end.gateway import Gateway, gateway
from tests.service.video.clips import every, write_clip
from tests.service.video.filming import shown

DOCUMENT = Path(__file__).parents[2] / "docs" / "video.md"
_PATIENCE_S = 60


def _walking_cat(number: int) -> Pixels:
    """A cat that goes to the right, three pixels a frame."""
    street = np.full((300, 600, 3), 90, np.uint8)
    left = 3 * number
    street[:, left : left + 451] = data.chelsea()[:, : 600 - left]
    return street


def _examples() -> list[tuple[str, str]]:
    (block, *_) = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    parts = (line.partition("# →") for line in block.splitlines() if line.startswith("curl "))
    return [(command.strip(), expected.strip()) for command, _, expected in parts]


def _run(command: str, url: str, job: str, folder: Path) -> str:
    here = command.replace("localhost:8000", url.removeprefix("http://")).replace("$ID", job)
    shell = ["bash", "-c", f"{here} --silent --show-error --fail-with-body"]
    done = subprocess.run(shell, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _job(url: str, job: str) -> Any:
    return httpx.get(f"{url}/v1/videos/{job}", timeout=30).json()


def _until(url: str, job: str, state: str, frames: int = 0) -> Any:
    end = time.monotonic() + _PATIENCE_S
    while (status := _job(url, job))["state"] != state or status["frames"]["done"] < frames:
        assert time.monotonic() < end, status
        assert status["state"] != "failed" or state == "failed", status
        time.sleep(0.02)
    return status


def _lines(url: str, job: str) -> list[dict[str, Any]]:
    text = httpx.get(f"{url}/v1/videos/{job}/results", timeout=_PATIENCE_S).text
    return [json.loads(line) for line in text.splitlines()]


def test_the_documents_examples(gateway_url: str, tmp_path: Path) -> None:
    """Each command of docs/video.md runs as it stands, and answers what the page says."""
    times = every(20)
    write_clip(tmp_path / "street.mp4", times, paint=_walking_cat)
    job = ""
    for command, expected in _examples():
        if "annotated" in command:
            _until(gateway_url, job, "done")
        told = _run(command, gateway_url, job, tmp_path)
        assert expected in told
        job = job or json.loads(told)["id"]
    annotated_times, pictures = shown(tmp_path / "annotated.mp4")
    assert annotated_times == pytest.approx(times, abs=1e-3)
    assert any((picture != pictures[0]).any() for picture in pictures)
    assert httpx.get(f"{gateway_url}/v1/videos/{job}", timeout=30).status_code == 404


def test_the_cat_keeps_its_id(gateway_url: str, tmp_path: Path) -> None:
    """A cat that walks through a real detector has a line a frame, and one id."""
    clip = write_clip(tmp_path / "cat.mp4", every(20), paint=_walking_cat)
    query = "task=detect&track=true&score_threshold=0.2"
    job = httpx.post(f"{gateway_url}/v1/videos?{query}", content=clip.read_bytes(), timeout=30).json()["id"]
    lines = _lines(gateway_url, job)
    ids = {item["track_id"] for line in lines for item in line["objects"][:1] if "track_id" in item}
    assert [line["frame"] for line in lines] == list(range(20))
    assert len(ids) == 1
    assert _job(gateway_url, job)["summary"]["tracks"] >= 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_job_outlives_the_service(how: signal.Signals, tiny_repository: Path, tmp_path: Path) -> None:
    """Killed or ended in the middle of a job, the service goes on with it at its next start: a line a frame."""
    clip = write_clip(tmp_path / "clip.mp4", every(30))
    videos = tmp_path / "videos"
    with gateway(tiny_repository, tmp_path / "first.log", videos=videos) as first:
        query = "task=classify&model=slow&annotate=true"
        job = httpx.post(f"{first.url}/v1/videos?{query}", content=clip.read_bytes(), timeout=30).json()["id"]
        _until(first.url, job, "running", frames=3)
        first.leave(how)
    with gateway(tiny_repository, tmp_path / "second.log", videos=videos) as second:
        frames = [line["frame"] for line in _lines(second.url, job)]
        status = _until(second.url, job, "done")
        annotated = httpx.get(f"{second.url}/v1/videos/{job}/annotated.mp4", timeout=30).content
    (tmp_path / "annotated.mp4").write_bytes(annotated)
    assert (frames, status["frames"]["processed"]) == (list(range(30)), 30)
    assert len(shown(tmp_path / "annotated.mp4")[0]) == 30


def test_a_second_service_over_the_same_folder(tiny_repository: Path, tmp_path: Path) -> None:
    """It answers images, refuses videos, and says why in its log; the first is not disturbed."""
    videos = tmp_path / "videos"
    clip = write_clip(tmp_path / "clip.mp4", every(3)).read_bytes()
    with gateway(tiny_repository, tmp_path / "a.log", videos=videos) as first:
        with gateway(tiny_repository, tmp_path / "b.log", videos=videos) as second:
            refused = httpx.post(f"{second.url}/v1/videos?task=classify&model=colours", content=clip, timeout=30)
        taken = httpx.post(f"{first.url}/v1/videos?task=classify&model=colours", content=clip, timeout=30)
    assert (refused.status_code, refused.json()["code"]) == (503, "engine_unavailable")
    assert "no video jobs" in (tmp_path / "b.log").read_text()
    assert taken.status_code == 202


def test_readers_do_not_hold_up_the_end(tiny_repository: Path, tmp_path: Path) -> None:
    """Who reads the results of a job that runs gets whole lines to the end of the service, and does not delay it."""
    clip = write_clip(tmp_path / "clip.mp4", every(30)).read_bytes()
    with gateway(tiny_repository, tmp_path / "log", videos=tmp_path / "videos") as running:
        job = httpx.post(f"{running.url}/v1/videos?task=classify&model=slow", content=clip, timeout=30).json()["id"]
        _until(running.url, job, "running", frames=2)
        with httpx.stream("GET", f"{running.url}/v1/videos/{job}/results", timeout=30) as answer:
            pieces = answer.iter_bytes()
            text = next(pieces)
            running.process.terminate()
            text += b"".join(pieces)
        assert running.process.wait(20) == 0
    assert text.endswith(b"\n")
    assert [json.loads(line)["frame"] for line in text.splitlines()] == list(range(len(text.splitlines())))


def test_a_very_large_frame(tiny_gateway: Gateway, tmp_path: Path) -> None:
    """Frames of 8K are worked through; frames beyond the limit of pixels are refused before they are decoded."""
    clip = tmp_path / "large.mp4"
    write_clip(clip, every(2), paint=lambda number: np.full((4320, 7680, 3), 40 * number, np.uint8), codec="mpeg4")
    job = httpx.post(
        f"{tiny_gateway.url}/v1/videos?task=classify&model=colours", content=clip.read_bytes(), timeout=60
    ).json()["id"]
    assert [line["image"] for line in _lines(tiny_gateway.url, job)] == [{"width": 7680, "height": 4320}] * 2
    with av.open(str(clip)) as container:
        assert container.streams.video[0].width == 7680
