"""The command line ``vitrail``, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.clients.addresses import TRANSPORTS, Addresses, Transport
from tests.service.running import GREEN, RED, picture

CLIENT = Path(__file__).parents[2] / "clients" / "python"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with some images."""
    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "green.png").write_bytes(GREEN)
    (tmp_path / "grey.png").write_bytes(picture(200, 200, 200, width=64, height=48))
    (tmp_path / "broken.png").write_bytes(b"no image")
    return tmp_path


def vitrail(folder: Path, *arguments: str, url: str = "", columns: int = 200) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder; the service's address stands in the environment."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CLIENT), "COLUMNS": str(columns)}
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
