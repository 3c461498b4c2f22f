"""`vitrail-build compile`: progress is told, Ctrl-C ends it, and no card ever speaks of another plan than is there."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from build_engines.__main__ import app
from build_engines.artifact import BuildFailure
from build_engines.compile import Options, compile_plan, step
from build_engines.compile.gpu import NoGpu, first_gpu
from build_engines.compile.repository import compile_repository
from build_engines.compile.step import refuse_lost_precision
from build_engines.verify import EngineRunner
from contract.repository import Repository
from tests.build_engines.orders import an_artifact, an_order
from tests.tiny_models import colour_model, write_version


@pytest.fixture(autouse=True)
def _rtx() -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="the extra `rtx` is not installed")


def run(root: Path, *options: str) -> Result:
    """The command over a repository."""
    return CliRunner().invoke(app, ["compile", "--repository", str(root), *options])


def events(result: Result) -> list[dict[str, Any]]:
    """The lines of JSON."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_programs_are_told_how_far_a_plan_is(tmp_path: Path) -> None:
    """With --json a version's turn, the builder's steps and the plan are objects, and each step is told once."""
    write_version(tmp_path, "colours")
    told = events(run(tmp_path, "--json"))
    progress = [(event["done"], event["steps"]) for event in told if event["event"] == "progress"]

    assert told[0] == {"event": "begins", "model": "colours", "version": 1}
    assert told[-1]["event"] == "built"
    assert len(progress) == len(set(progress)) >= 2


def test_ctrl_c_stops_a_plan() -> None:
    """Ctrl-C while the engine builds ends the work instead of becoming one model's failure."""
    sent: list[str] = []

    def interrupt(phase: str, done: int, steps: int) -> bool:
        if not sent:
            sent.append(phase)
            os.kill(os.getpid(), signal.SIGINT)
        return True

    with pytest.raises(KeyboardInterrupt):
        compile_plan(colour_model(), "tensorrt-rtx", (1, 2), progress=interrupt)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_leaves_no_half_plan(tmp_path: Path, stop: signal.Signals) -> None:
    """Stopped while it builds, the command says so, ends with 130, and no card speaks of a plan that is not there."""
    for number in range(40):
        write_version(tmp_path, f"colours_{number}")
    command = [sys.executable, "-m", "build_engines", "compile", "--repository", str(tmp_path), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if '"progress"' in line)
        process.send_signal(stop)
        last = process.stdout.readlines()[-1]

    repository = Repository(tmp_path)
    in_cards = {name for name in repository.models() if repository.read_card(name, 1).plans}
    written = {path.parts[-3] for path in tmp_path.rglob("model.rtx.plan")}
    assert (process.returncode, json.loads(last)["event"]) == (130, "interrupted")
    assert in_cards <= written
    assert len(written) < 40
    assert not list(tmp_path.rglob(".*"))


def test_a_card_never_speaks_of_another_plan_than_is_there(tmp_path: Path) -> None:
    """Where a second plan cannot be written, the card no longer has the first one's certificate."""
    write_version(tmp_path, "colours")
    repository = Repository(tmp_path)
    first = next(compile_repository(repository, [], "tensorrt-rtx", Options(), EngineRunner))
    place = tmp_path / "colours" / "1" / "model.rtx.plan"
    place.unlink()
    (place / "in the way").mkdir(parents=True)
    second = next(compile_repository(repository, [], "tensorrt-rtx", Options("bf16"), EngineRunner))

    assert (first.outcome, second.outcome) == ("built", "failed")
    assert repository.read_card("colours", 1).plans == ()


@pytest.mark.skipif(importlib.util.find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_a_library_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    """Without the engine's library nothing begins; the extra is named."""
    write_version(tmp_path, "a")
    write_version(tmp_path, "b")
    (told,) = events(run(tmp_path, "--engine", "tensorrt", "--json"))

    assert told["event"] == "refused"
    assert "vitrail[gpu]" in told["remedy"]


def test_an_option_that_the_engine_lacks_is_refused(tmp_path: Path) -> None:
    """A promise of compatibility that TensorRT-RTX does not keep is not passed over in silence."""
    write_version(tmp_path, "colours")
    result = run(tmp_path, "--version-compatible", "--json")

    assert result.exit_code == 1
    assert "--version-compatible" in events(result)[0]["reason"]


def test_a_stopped_build_is_no_refusal_of_the_graph() -> None:
    """Where the listener stops the build, the reason says so, and blames no operator."""
    with pytest.raises(BuildFailure, match="stopped"):
        compile_plan(colour_model(), "tensorrt-rtx", (1, 2), progress=lambda *_: False)


def test_an_engine_that_drops_the_precision_is_refused() -> None:
    """A plan asked for in fp16 of which the finished engine has no fp16 layer is not passed off as one."""
    refuse_lost_precision("fp16", {"fp16": 5, "fp32": 2}, {"fp16": 3})
    refuse_lost_precision("fp16", {"fp32": 2}, {"fp32": 2})
    refuse_lost_precision("fp16", {"fp16": 5}, {})
    with pytest.raises(BuildFailure, match="no layer of the finished engine computes in fp16"):
        refuse_lost_precision("fp16", {"fp16": 5}, {"fp32": 7})


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_build_warns_that_there_is_no_plan(tmp_path: Path, precision: Any) -> None:
    """What cannot be compiled, or even run to see its range, ends no build; a person at the console is warned."""
    order = dataclasses.replace(an_order(tmp_path), engine="tensorrt-rtx", precision=precision)
    model, samples = colour_model(), np.zeros((2, 8, 8, 3), np.uint8)
    model.graph.node[0].op_type = "NoSuchOperator"
    after = step(EngineRunner)(an_artifact(tmp_path, order=order, model=model, batch_sizes=(1,), samples=samples))

    assert "NoSuchOperator" in (after.plan_problem or "")
    assert after.warnings[-1] == f"no plan: {after.plan_problem}"


@pytest.mark.skipif(not isinstance(first_gpu(), NoGpu), reason="this machine has a GPU")
def test_an_uncertified_plan_says_why(tmp_path: Path) -> None:
    """The note has the reason that there is no GPU, for a package may be all that is missing."""
    write_version(tmp_path, "colours")
    row = next(compile_repository(Repository(tmp_path), [], "tensorrt-rtx", Options(), EngineRunner))

    assert row.plan is not None
    assert row.plan.notes[0].startswith("not certified, so it is never offered: no GPU to compare it on (")
