"""The command itself, in a process of its own, over repositories that are whole and broken."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.doctor.command import main
from service.doctor.groups import BEFORE, GROUPS, SECRETS, VALUES
from service.settings import Settings
from tests.tiny_models import write_version

DOCS = Path(__file__).parents[3] / "docs" / "doctor.md"


def doctor(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run the command as people do; the service's own variables of this machine are not seen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VITRAIL_")}
    command = [sys.executable, "-m", "service", "doctor", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**kept, "OMP_NUM_THREADS": "1"},
    )


Here = Callable[..., tuple[int, str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The same within this process: exit status, and what was printed."""

    def run(*arguments: str, **environment: str) -> tuple[int, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return main(arguments), capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one model."""
    root = tmp_path_factory.mktemp("good") / "models"
    write_version(root, "colours")
    return root


@pytest.fixture(scope="module")
def report(good: Path) -> dict[str, Any]:
    """What machines are told of it."""
    done = doctor("--repository", good, "--port", 0, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_good_repository(report: dict[str, Any]) -> None:
    """Nothing is a problem over a repository that is whole, and what the repository's checks say is ok."""
    levels = {found["check"]: found["level"] for found in report["findings"]}
    assert report["status"] in ("ok", "warning")
    assert {levels[check] for check in ("repository", "cards", "files", "golden outputs", "routing")} == {"ok"}


def test_machines_are_told_all(report: dict[str, Any]) -> None:
    """Every check is in the JSON, each finding in the same form, and a change wherever one is needed."""
    named = [(found["group"], found["check"]) for found in report["findings"]]
    wanted = [
        (BEFORE, VALUES),
        (BEFORE, SECRETS),
        *((group.title, check) for group in GROUPS for check in group.checks),
    ]
    assert list(dict.fromkeys(named)) == wanted
    assert {bool(found["change"]) for found in report["findings"] if found["level"] == "ok"} == {False}
    assert all(found["change"] for found in report["findings"] if found["level"] != "ok")


def test_a_broken_repository(good: Path, tmp_path: Path) -> None:
    """A model that is gone is told in a line with what to do, the last line counts, and the status is 2."""
    root = Path(shutil.copytree(good, tmp_path / "models"))
    (root / "colours" / "1" / "model.onnx").unlink()
    done = doctor("--repository", root, "--port", 0)
    assert (done.returncode, done.stderr) == (2, "")
    assert re.search(
        r"^  problem +files +colours:1 lacks model.onnx\n +-> copy the version again", done.stdout, re.MULTILINE
    )
    assert done.stdout.splitlines()[-1].startswith("1 problem, ")


def test_strictness(here: Here, good: Path) -> None:
    """With --strict a warning makes the status 1; by the environment settings count as by flags."""
    status, told = here("--strict", VITRAIL_REPOSITORY=str(good), VITRAIL_PORT="0", VITRAIL_DRAIN_TIMEOUT_S="1")
    assert status == 1
    assert "--drain-timeout-s 1 is less than --default-timeout-s 30" in told


def test_settings_that_cannot_be_read(here: Here) -> None:
    """A wrong setting is a problem, told by its flag and its variable; nothing else is known then."""
    status, told = here("--json", VITRAIL_MAX_QUEUE="0")
    (found, _) = json.loads(told)["findings"]
    assert (status, found["check"], found["level"]) == (2, VALUES, "problem")
    assert found["found"].startswith("--max-queue or VITRAIL_MAX_QUEUE: ")


@pytest.mark.parametrize("variable", ["VITRAIL_DEFAULT_MODELS", "VITRAIL_CORS_ORIGINS", "VITRAIL_TLS_KEY"])
def test_settings_that_are_wrong_in_other_ways(variable: str, here: Here) -> None:
    """A text that is no JSON, one that breaks its own rule, and one of a pair are told by their names."""
    status, told = here(**{variable: "{nonsense"})
    assert status == 2
    assert variable.removeprefix("VITRAIL_").lower().replace("_", "-") in told.lower().replace("_", "-")


def test_a_secret_among_the_arguments(here: Here, good: Path) -> None:
    """A key on the command line is told of, with the variable to use, and never shown."""
    _, told = here("--repository", str(good), "--port", "0", "--admin-key", "swordfish-swordfish")
    assert re.search(r"^  warning +secrets .*\n +-> set VITRAIL_ADMIN_KEY$", told, re.MULTILINE)
    assert "swordfish" not in told


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Its help tells of its own two flags, and of the service's."""
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(word in told for word in ("vitrail-serve doctor", "--json", "--strict", "--repository"))


def test_the_documentation_names_every_check() -> None:
    """The page has a row for each check, under its group, and none that there is not."""
    rows = re.findall(r"^\| ([^|]+) \| `([^`|]+)` \| [^|]+ \|$", DOCS.read_text(), re.MULTILINE)
    wanted = [
        (BEFORE, VALUES),
        (BEFORE, SECRETS),
        *((group.title, check) for group in GROUPS for check in group.checks),
    ]
    assert rows == wanted


def test_the_sample_names_checks_that_there_are() -> None:
    """What the page shows of the output is in the form of today, with checks that there are."""
    shown = re.findall(r"^ {6}(?:ok|warning|problem) +(\S.{23}) \S", DOCS.read_text(), re.MULTILINE)
    assert len(shown) > 15
    assert {name.strip() for name in shown} <= {check for group in GROUPS for check in group.checks}


def test_flags_of_its_own_are_not_the_services() -> None:
    """The service has no settings by the names of the command's own flags."""
    assert not {"json", "strict"} & set(Settings.model_fields)


_WITHOUT = """
import importlib.abc
import sys


class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"onnxruntime", "cryptography", "jwt", "opentelemetry"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Refuse())
from service.doctor.command import main
sys.exit(main(sys.argv[1:]))
"""


def test_an_engine_that_is_not_installed(good: Path) -> None:
    """Where the service cannot even be imported, for its engine is not there, the doctor runs and says so."""
    command = [sys.executable, "-c", _WITHOUT, "--repository", str(good), "--port", "0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    problems = [found for found in json.loads(done.stdout)["findings"] if found["level"] == "problem"]
    assert (done.returncode, [found["check"] for found in problems]) == (2, ["engine"])
    assert problems[0]["change"] == "install vitrail[cpu], or vitrail[gpu] for a CUDA GPU"
