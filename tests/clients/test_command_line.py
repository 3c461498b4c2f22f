"""The command line ``vitrail``, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from vitrail_client import Client

from tests.clients.addresses import TRANSPORTS, Addresses, Transport
from tests.clients.scripted import Reply, Script, lines, scripted, told
from tests.service.running import GREEN, RED, picture
from tests.service.video.clips import every, truncated, write_clip

CLIENT = Path(__file__).parents[2] / "clients" / "python"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with some images."""
    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "green.png").write_bytes(GREEN)
    (tmp_path / "grey.png").write_bytes(picture(200, 200, 200, width=64, height=48))
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder with some videos of a second."""
    clip = write_clip(tmp_path / "clip.mp4", every(25), options={"movflags": "faststart"})
    truncated(clip, 0.9)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    return tmp_path


def vitrail(
    folder: Path, *arguments: str, url: str = "", columns: int = 200, **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder; the service's address stands in the environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "COLUMNS": str(columns), **variables}
    return subprocess.run(
        [sys.executable, "-m", "vitrail_client", *arguments],
        cwd=folder,
        env=environment | ({"VITRAIL_URL": url} if url else {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_table(folder: Path, served: Addresses, transport: Transport) -> None:
    """By default each image has a table that a person can read."""
    done = vitrail(folder, "predict", "red.png", "green.png", "-p", "top_k=1", url=served.over(transport))

    assert (done.returncode, done.stderr) == (0, "")
    for words in ("red.png (12 x 10)", "label", "0.9993", "green.png", "colours:2"):
        assert words in done.stdout


@pytest.mark.parametrize("task", ["detect", "segment", "embed", "regions", "depth", "keypoints", "restore", "explain"])
def test_every_task_has_a_table(folder: Path, served: Addresses, task: str) -> None:
    """Whatever the task, its result is told in words, and none of its bytes are printed."""
    done = vitrail(folder, "predict", "grey.png", "--task", task, "--url", served.rest)

    assert (done.returncode, done.stderr) == (0, "")
    assert "grey.png (64 x 48)" in done.stdout
    assert "\\x" not in done.stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_json_lines(folder: Path, served: Addresses, transport: Transport) -> None:
    """With --json each image has one line; bytes are base64 in it."""
    asked = ("predict", "red.png", "grey.png", "--task", "depth", "-p", "encoding=npy", "--json")
    done = vitrail(folder, *asked, url=served.over(transport))

    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["file"], second["file"]) == ("red.png", "grey.png")
    assert second["result"]["image"] == {"width": 64, "height": 48}
    assert second["result"]["map"]["data"].startswith("k05VTVB")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("name", "form"), [("out.png", "PNG"), ("out.jpg", "JPEG")])
def test_saving(folder: Path, served: Addresses, transport: Transport, name: str, form: str) -> None:
    """With --save the drawn picture is written in the form that its name says."""
    asked = ("predict", "grey.png", "--task", "detect", "-p", "labels=red,green", "-p", "score_threshold=0.5")
    done = vitrail(folder, *asked, "--save", name, url=served.over(transport))

    assert (done.returncode, done.stderr) == (0, "")
    with Image.open(folder / name) as saved:
        assert (saved.format, saved.size) == (form, (64, 48))


def test_saving_several(folder: Path, served: Addresses) -> None:
    """The pictures of several images go into a folder."""
    (folder / "out").mkdir()
    done = vitrail(folder, "predict", "red.png", "grey.png", "--save", "out", url=served.rest)

    assert done.returncode == 0, done.stderr
    assert {path.name for path in (folder / "out").iterdir()} == {"red.png", "grey.png"}


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_models(folder: Path, served: Addresses, flags: tuple[str, ...]) -> None:
    """``vitrail models`` lists the models."""
    done = vitrail(folder, "models", *flags, url=served.rest)

    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("colours", "classify", "ready"))


def test_an_image_that_fails(folder: Path, served: Addresses) -> None:
    """An image without an answer is named with the reason, the others are answered, and the exit status is 1."""
    done = vitrail(folder, "predict", "broken.png", "nowhere.png", "red.png", url=served.rest)

    assert done.returncode == 1
    assert "red.png (12 x 10)" in done.stdout
    assert "broken.png: image 0: this is not an image" in done.stderr
    assert "nowhere.png" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("predict", "red.png"), ("models",)])
def test_no_service(folder: Path, command: tuple[str, ...]) -> None:
    """Where no service answers, the address is named, and how to start one."""
    done = vitrail(folder, *command, "--url", "http://127.0.0.1:9")

    assert done.returncode == 1
    assert "no service answers at http://127.0.0.1:9" in done.stderr
    assert "vitrail-serve" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--task", "guess"), "'guess' is not one of 'classify', 'detect'"),
        (("-p", "top_k"), "'top_k' is not name=value"),
        (("-p", "model=colours"), "model is no parameter of a task"),
        (("--save", "out.gif"), "ends neither in .png nor in .jpg"),
        (("green.png", "--save", "out.png"), "is no folder"),
        (("--url", "localhost"), "'localhost' is no address"),
    ],
)
def test_wrong_arguments(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    """Arguments that make no sense are refused with status 2 before anything is asked."""
    done = vitrail(folder, "predict", "red.png", *arguments)

    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_video(films: Path, served: Addresses) -> None:
    """``vitrail video`` prints a line a processed frame, and saves the annotated video."""
    asked = ("--task", "detect", "--track", "--fps", "5", "-p", "score_threshold=0.1", "--annotate", "out.mp4")
    done = vitrail(films, "video", "clip.mp4", *asked, url=served.rest)

    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["frame"] for line in found] == [0, 5, 10, 15, 20]
    assert all("objects" in line for line in found)
    assert (films / "out.mp4").stat().st_size > 1000
    with Client(served.rest) as client:
        assert client.videos.list(limit=1)["videos"][0]["input"]["name"] == "clip.mp4"


def test_a_video_of_bytes(films: Path, served: Addresses) -> None:
    """Bytes are base64 in the lines, which --output writes to a file."""
    asked = ("--task", "depth", "--fps", "1", "-p", "encoding=npy", "--output", "lines.ndjson")
    done = vitrail(films, "video", "clip.mp4", *asked, url=served.rest)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    (line,) = map(json.loads, (films / "lines.ndjson").read_text().splitlines())
    assert line["map"]["data"].startswith("k05VTVB")


def test_counting(films: Path, served: Addresses) -> None:
    """--counts names a file with lines and zones."""
    counts = {"lines": [{"name": "gate", "points": [[0, 0.5], [1, 0.5]]}]}
    (films / "counts.json").write_text(json.dumps(counts))
    done = vitrail(films, "video", "clip.mp4", "--track", "--counts", "counts.json", "--fps", "5", url=served.rest)

    assert (done.returncode, done.stderr) == (0, "")
    assert "counts" in json.loads(done.stdout.splitlines()[-1])


def test_progress_on_a_terminal(films: Path, served: Addresses) -> None:
    """On a terminal bars show how far it is; the lines go to standard output all the same."""
    done = vitrail(films, "video", "clip.mp4", "--fps", "5", url=served.rest, FORCE_COLOR="1")

    assert done.returncode == 0, done.stderr
    assert "sending" in done.stderr
    assert "━" in done.stderr.partition("sending")[2]
    assert [json.loads(line)["frame"] for line in done.stdout.splitlines()] == [0, 5, 10, 15, 20]


def test_a_video_with_problems(films: Path, served: Addresses) -> None:
    """What was wrong with a file that was processed as far as it goes is told, and is no failure."""
    done = vitrail(films, "video", "clip_short.mp4", "--fps", "5", url=served.rest)

    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "vitrail: clip_short.mp4: the header announces 25 frames" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("broken.mp4",), "broken.mp4: "),
        (("nowhere.mp4",), "nowhere.mp4"),
        (("clip.mp4", "-p", "labels=nobody"), "nobody"),
        (("clip.mp4", "--model", "nobody"), "[model_not_found]"),
        (("clip.mp4", "--output", "nowhere/lines"), "nowhere/lines"),
        (("clip.mp4", "--task", "classify", "--track"), "[invalid_parameters]"),
        (("https://videos.example/clip.mp4",), "[forbidden]"),
        (("clip.mp4", "--url", "http://127.0.0.1:9"), "no service answers at http://127.0.0.1:9"),
    ],
)
def test_a_video_that_fails(films: Path, served: Addresses, arguments: tuple[str, ...], said: str) -> None:
    """A video that is not answered to its end is named with the reason, and the exit status is 1."""
    done = vitrail(films, "video", *arguments, url=served.rest)

    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_video_over_grpc(films: Path, served: Addresses) -> None:
    """At an address of gRPC the command says that it needs REST."""
    done = vitrail(films, "video", "clip.mp4", url=served.grpc)

    assert done.returncode == 1
    assert "over REST" in done.stderr


@contextmanager
def running(films: Path, results: Reply) -> Iterator[tuple["subprocess.Popen[bytes]", Script]]:
    """The command over a job that has these results, and the service that it asks."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT)}
    with scripted() as script:
        job = told(id="7", state="running", problems=[], error=None)
        script.on("POST /v1/videos", job)
        script.on("GET /v1/videos/7/results", results)
        script.on("POST /v1/videos/7:cancel", job)
        command = [sys.executable, "-m", "vitrail_client", "video", "clip.mp4", "--url", script.url]
        with subprocess.Popen(
            command, cwd=films, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            yield process, script


def test_a_reader_who_leaves(films: Path) -> None:
    """Where nobody reads the lines any more, the job is cancelled."""
    with running(films, lines(*range(20_000))) as (process, script):
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"frame": 0}\n'
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert len(script.asked["POST /v1/videos/7:cancel"]) == 1


def test_a_job_that_is_lost(films: Path) -> None:
    """Where its results cannot be read any more, the job is named."""
    with running(films, Reply(b'{"code": "internal", "detail": "lost"}', status=500)) as (process, _):
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(30) == 1
    assert b"clip.mp4: its job is 7" in said
    assert b"lost [internal]" in said


def test_a_caller_who_gives_up(films: Path) -> None:
    """Ctrl-C ends the job, too."""
    with running(films, lines(0, silent=True)) as (process, script):
        assert process.stdout is not None
        assert process.stdout.readline() == b'{"frame": 0}\n'
        process.send_signal(signal.SIGINT)
        assert process.wait(30) != 0
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
    assert len(script.asked["POST /v1/videos/7:cancel"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--annotate", "out.avi"), "does not end in .mp4"),
        (("--annotate", "nowhere/out.mp4"), "nowhere is no folder"),
        (("--counts", "broken.mp4"), "broken.mp4 cannot be read"),
        (("--task", "classify-nothing"), "is not one of 'classify', 'detect'"),
        (("-p", "track=true"), "track is no parameter of a task"),
        (("--fps", "0"), "0.001"),
    ],
)
def test_wrong_arguments_for_a_video(films: Path, arguments: tuple[str, ...], said: str) -> None:
    """Arguments that make no sense are refused with status 2 before anything is sent."""
    done = vitrail(films, "video", "clip.mp4", *arguments)

    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
