"""Own code in a process of its own: what goes wrong there is told clearly, and reaches the builder as words only."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from build_engines.artifact import BuildFailure
from build_engines.catalog.external import entry_from
from build_engines.sources.external_process import OwnCodeProcess
from contract.task import Task

FOREIGN = Path(__file__).parents[1] / "foreign_code"
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def process() -> Iterator[OwnCodeProcess]:
    """One process for all that only refuse: it answers on after each."""
    process = OwnCodeProcess()
    yield process
    process.close()


def loading(factory: str, folder: str = "faults", weights: str = "random", **options: Any) -> dict[str, Any]:
    """The request to load a factory of the example folders."""
    entry = entry_from(factory, FOREIGN / folder, options, Task.CLASSIFY)
    return {"do": "load", "entry": entry.model_dump(mode="json"), "weights": weights}


def refusal(process: OwnCodeProcess, *arguments: str, **options: Any) -> BuildFailure:
    """How the process refuses to load that."""
    with pytest.raises(BuildFailure) as failure:
        process.ask(loading(*arguments, **options), (), PATIENCE_S)
    return failure.value


REFUSALS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a package that is not installed": (
        "faults:needs",
        {"module": "no_such_package.layers"},
        r"needs the package no_such_package, which is not installed \(faults.py, line \d+\)",
        "pip install no_such_package",
    ),
    "a package under another name": ("faults:needs", {"module": "detectron2"}, "detectron2", "git+https"),
    "a part that the installed version lacks": (
        "faults:needs",
        {"module": "torch.no_such_part"},
        r"needs torch.no_such_part, which the installed torch [\d.]+",
        "another torch",
    ),
    "a name that the installed version lacks": ("broken_import:f", {}, "cannot import name 'no_such_thing'", "torch"),
    "a compiled operator": (
        "faults:needs",
        {"module": "MultiScaleDeformableAttention"},
        "multi-scale deformable attention: the compiled operator MultiScaleDeformableAttention",
        "plain torch",
    ),
    "a compiled operator that is None": (
        "faults:wants_operator",
        {},
        "multi-scale deformable attention",
        "plain torch",
    ),
    "a compiled operator that nothing registered": (
        "faults:wants_registered_operator",
        {},
        r"needs the compiled operator some_extension::fast_scan, which no package here registers \(faults.py, line",
        "plain torch",
    ),
    "an extension to compile": ("faults:compiles", {}, "compiles an extension for a GPU", "plain torch"),
    "a GPU": ("faults:wants_gpu", {}, "wants a GPU", "not x.cuda()"),
    "an error": (
        "faults:raises",
        {},
        r"faults:raises raises: ValueError: depth must be even \(faults.py, line",
        "alone",
    ),
    "the end of the program": ("faults:leaves", {}, "the code ends the program", "command line"),
    "a command line at import": ("ends_at_import:f", {}, "ends_at_import cannot be imported: the code ends", "command"),
    "a wrong module": ("fault:tiny", {}, r"no module fault in .*; it has .*faults", "--code-path"),
    "a wrong factory": ("faults:answerin", {}, "faults has no answerin; it has answering, ", "--entry"),
    "wrong arguments": (
        "faults:answering",
        {"shape": "tensor"},
        r"missing a required argument: 'form'; it is answering\(form: str\)",
        "--kwargs",
    ),
    "no network": ("faults:gives_dict", {}, "gives a dict, not a torch.nn.Module", "makes the network"),
    "a network that stays in training": ("faults:stubborn", {}, r"training mode .* the network itself", "eval"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_what_and_what_to_do(case: str, process: OwnCodeProcess) -> None:
    """Each way in which code cannot give a network has a reason that names it, and its own remedy."""
    factory, options, reason, remedy = REFUSALS[case]
    failure = refusal(process, factory, **options)
    assert re.search(reason, failure.reason), failure.reason
    assert remedy in failure.remedy


def test_random_weights_are_not_called_trained(process: OwnCodeProcess) -> None:
    """A factory whose weights differ from call to call has none of its own; one that brings some is believed."""
    failure = refusal(process, "models.tiny:tiny", "paper", "pretrained")
    assert "4 of 9 tensors differ" in failure.reason
    assert "--weights" in failure.remedy
    answer, _ = process.ask(loading("models.tiny:fixed", "paper", "pretrained"), (), PATIENCE_S)
    assert answer["warnings"] == []


def test_a_bag_of_settings_and_a_loss(process: OwnCodeProcess) -> None:
    """A factory that takes one namespace of settings, and gives a loss besides, is used as its repository does."""
    answer, _ = process.ask(
        loading("models.tiny:build", "paper", args={"width": 4, "head": {"classes": 3}}), (), PATIENCE_S
    )
    assert answer["notes"] == ["the factory gives 2 things; the first network among them is taken"]


def test_methods_of_deployment_are_named(process: OwnCodeProcess) -> None:
    """A network with a merged form is taken as it is, and a warning names the method."""
    answer, _ = process.ask(loading("faults:deployable"), (), PATIENCE_S)
    assert answer["warnings"][0].startswith("Deployable.switch_to_deploy() was not called")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, r"ended itself with status 3 \(at importing it and making the network\); its last words: .*about to die"),
        ({"signal_number": int(signal.SIGKILL)}, "was ended by SIGKILL"),
    ],
)
def test_a_death_is_told(options: dict[str, Any], reason: str) -> None:
    """A process that dies says how, at what, and with which last words."""
    process = OwnCodeProcess()
    try:
        failure = refusal(process, "faults:dies", **options)
    finally:
        process.close()
    assert re.search(reason, failure.reason), failure.reason


def test_a_hang_ends_and_says_where() -> None:
    """Code that hangs at import is given up after the time allowed, with the line that it hangs in; then it is gone."""
    process = OwnCodeProcess()
    process.ask(loading("faults:deployable"), (), PATIENCE_S)
    with pytest.raises(BuildFailure, match=r"within 0.5 s .*hangs_at_import.py\", line") as failure:
        process.ask(loading("hangs_at_import:f"), (), 0.5)
    process.close()
    assert "longer" in failure.value.remedy
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_ctrl_c_ends_the_process(tmp_path: Path) -> None:
    """A build that is interrupted while its code hangs ends with 130, and the code's process ends with it."""
    code = ["--entry", "faults:hangs", "--code-path", str(FOREIGN / "faults"), "--task", "classify"]
    command = [sys.executable, "-m", "build_engines", "build", *code, "--weights", "random", "--json"]
    with subprocess.Popen([*command, "--repository", str(tmp_path)], stdout=subprocess.DEVNULL) as build:
        end, children = time.monotonic() + PATIENCE_S, []
        while not children and time.monotonic() < end:
            children = psutil.Process(build.pid).children()
            time.sleep(0.05)
        build.send_signal(signal.SIGINT)
        assert build.wait(PATIENCE_S) == 130
    assert len(children) == 1
    assert not psutil.wait_procs(children, 30)[1]
