"""The command line: what it prints, where, and with which status it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from build_engines.__main__ import app
from build_engines.catalog.loader import defaults, entries
from tests.build_engines.orders import SMALL
from tests.tiny_models import write_version


def run(*arguments: str) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(app, list(arguments))


def lines(result: Result) -> list[dict[str, Any]]:
    """The events on stdout; every line of it must be one."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list_names_every_entry() -> None:
    """`list` shows each entry's whole name, however narrow the terminal, and how to build."""
    result = run("list")
    assert result.exit_code == 0
    assert all(f"{entry.name}:" in result.stdout or f"{entry.name} (default):" in result.stdout for entry in entries())
    assert "vitrail-build build --default" in result.stdout


def test_list_as_json_is_the_catalogue() -> None:
    """`list --json` prints each entry wholly, one JSON object a line."""
    listed = lines(run("list", "--json"))
    assert [item["name"] for item in listed] == [entry.name for entry in entries()]
    assert all(item == item | entry.model_dump(mode="json") for entry, item in zip(entries(), listed, strict=True))
    assert {"task", "parameters", "licence", "origin"} <= listed[0].keys()


def test_build_prints_its_steps(tmp_path: Path) -> None:
    """`build --json` prints every step and then what was built, under the version asked for, and nothing else."""
    root = tmp_path / "repository"
    result = run(
        *("build", f"timm:{SMALL}", "--weights", "random", "--resolution", "64"),
        *("--version", "7", "--repository", str(root), "--json"),
    )
    assert result.exit_code == 0, result.output
    events = lines(result)
    finished = [event["step"] for event in events if event["event"] == "finished"]
    expected = "reserve source reparameterise figures sample export simplify verify emit"
    assert finished == expected.split()
    assert events[-1]["event"] == "built"
    assert (events[-1]["version"], events[-1]["batch_sizes"]) == (7, [1, 2, 3, 4, 5, 6, 7, 8])
    assert Path(events[-1]["path"]) == root / SMALL / "7"


def test_a_failed_build_says_where_and_why(tmp_path: Path) -> None:
    """A step that fails gives its name, a reason and a remedy, status 1, and no version."""
    arguments = ("build", f"timm:{SMALL}", "--weights", str(tmp_path / "absent.pth"), "--repository", str(tmp_path))
    result = run(*arguments, "--json")
    assert result.exit_code == 1
    (failure,) = [event for event in lines(result) if event["event"] == "failed"]
    assert failure["step"] == "source"
    assert "there is no file" in failure["reason"]
    assert failure["remedy"]
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_tells_a_person(tmp_path: Path) -> None:
    """Without --json the same stands on stderr, stdout stays empty, and no stack trace is shown."""
    torch.save({"epoch": 1}, tmp_path / "[red].pth")
    result = run("build", f"timm:{SMALL}", "--weights", str(tmp_path / "[red].pth"), "--repository", str(tmp_path))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "step source failed" in result.stderr
    assert "[red].pth holds no state_dict" in result.stderr
    assert "What to do: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["no_such_model"], "the catalogue has no 'no_such_model'"),
        (["timm:../x"], "not the name of a timm model"),
        ([], "name what to build"),
    ],
)
def test_unknown_names_are_refused(arguments: list[str], reason: str) -> None:
    """A name that stands for nothing, or none at all, ends with status 2 before anything is built."""
    result = run("build", *arguments, "--json")
    assert result.exit_code == 2
    (event,) = lines(result)
    assert event["event"] == "refused"
    assert reason in event["reason"]


@pytest.mark.parametrize("option", [("--resolution", "0"), ("--version", "-1"), ("--resolution", "many")])
def test_bad_options_are_refused(option: tuple[str, str]) -> None:
    """Numbers out of range end with status 2, named on stderr, and stdout stays for machines."""
    result = run("build", "timm:resnet10t", *option, "--json")
    assert result.exit_code == 2
    assert option[0] in result.stderr
    assert result.stdout == ""


def test_present_defaults_are_left_alone_without_torch(tmp_path: Path) -> None:
    """With all defaults there, `build --default` says so, changes nothing, and never loads torch."""
    for entry in defaults():
        write_version(tmp_path, entry.name)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code = (
        "import sys; from typer.testing import CliRunner; from build_engines.__main__ import app\n"
        f"result = CliRunner().invoke(app, ['build', '--default', '--json', '--repository', {str(tmp_path)!r}])\n"
        "print(result.stdout, end=''); sys.exit(result.exit_code or ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events == [{"event": "present", "model": entry.name} for entry in defaults()]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(stop: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C, or being told to end, in the middle of a build says so, ends with status 130 and leaves no file."""
    arguments = ["build", f"timm:{SMALL}", "--weights", "random", "--json", "--repository", str(tmp_path)]
    command = [sys.executable, "-m", "build_engines", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if json.loads(line) == {"event": "started", "model": SMALL, "step": "export"}:
                break
        os.kill(process.pid, stop)
        rest = process.stdout.read().splitlines()
    assert process.returncode == 130
    assert [json.loads(line) for line in rest] == [{"event": "interrupted", "model": SMALL}]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--jobs", "2", "--head", "fcos", SMALL), "--head: not with --jobs"),
        (("--all", "--name", "mine"), "--name: not with --all"),
        (("--classes", "3", SMALL), "add --head"),
        (("--kwargs", "{}", SMALL), "add it"),
        (("--all", SMALL), "leave the names out"),
        (("--entry", "a:b", "--task", "classify", SMALL), "leave the names out"),
        (("--name", "mine", "ppocr_det", "efficientnet_lite0"), "one by one"),
        (("--precision", "fp16", SMALL), "add --engine"),
        (("--patience", "9", SMALL), "add --all or --jobs"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments: tuple[str, ...], problem: str) -> None:
    """No option is silently left aside: what does not belong to the others is refused, with what to do."""
    result = run("build", *arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
