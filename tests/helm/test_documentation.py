"""docs/kubernetes.md: every block of values renders, and every value that it names is one."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from build_engines.__main__ import app
from service.doctor.combinations import Chosen, sizes
from service.doctor.finding import Level
from service.settings import Settings
from tests.helm.chart import FOLDER, chart, render
from tests.helm.invariants import broken

TEXT = (FOLDER.parent / "docs" / "kubernetes.md").read_text()
SCALING = (FOLDER.parent / "docs" / "scaling.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)

NAMED = re.compile(r"`((?:[a-z]\w*\.)+\w+)`")


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_examples_render(block: str) -> None:
    """Each example is values that the chart takes, and what comes of them is valid and whole."""
    values: dict[str, Any] = yaml.safe_load(block)
    assert broken(render(values)) == []


def builds() -> list[list[str]]:
    """The arguments of every build in values.yaml and in the examples."""
    blocks = [chart().values, *(yaml.safe_load(block) for block in BLOCKS)]
    return [job["args"] for block in blocks for job in block.get("build", {}).get("jobs", [])]


def test_the_builds_can_be_run() -> None:
    """`vitrail-build` takes the arguments of each build, and the repository that the chart adds."""
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for name, *arguments in builds():
        command = group.get_command(group.make_context("vitrail-build", [name]), name)
        assert command is not None
        command.make_context(name, [*arguments, "--repository=/models"])
    assert len(builds()) > 2


def test_the_values_that_are_named_exist() -> None:
    """A path in the text is a path in values.yaml."""
    tops = set(chart().values)
    named = {path for path in NAMED.findall(TEXT) if path.split(".")[0] in tops and not path.endswith((".md", ".yaml"))}
    assert {"videos.persistent", "security.adminPort"} <= named
    assert [path for path in sorted(named) if not _there(chart().values, path.split("."))] == []


def _there(values: Any, path: list[str]) -> bool:
    return not path or (isinstance(values, dict) and path[0] in values and _there(values[path[0]], path[1:]))


def test_every_group_is_explained() -> None:
    """Above each of the values that stand at the top there is a comment."""
    lines = (FOLDER / "values.yaml").read_text().splitlines()
    tops = [(above, line) for above, line in pairwise(lines) if re.match(r"\w", line)]
    assert {line.partition(":")[0] for _, line in tops} == set(chart().values)
    assert [line for above, line in tops if not above.startswith("#")] == []


def example_settings() -> dict[str, Any]:
    """The settings that stand in values.yaml as comments."""
    _, _, after = (FOLDER / "values.yaml").read_text().partition("\nsettings:\n")
    commented = re.findall(r"^  #   (.+)$", after.partition("\n\n")[0], re.MULTILINE)
    values: dict[str, Any] = yaml.safe_load("\n".join(commented))
    return values


def test_the_settings_in_comments_can_be_taken(tmp_path: Path) -> None:
    """Together they render, the service takes them, and its doctor finds nothing amiss with the limits."""
    assert broken(render({"settings": example_settings()})) == []
    chosen = Chosen(Settings(repository=tmp_path, **example_settings()), largest_batch=8, kubernetes=True)
    assert [finding.level for finding in sizes(chosen)] == [Level.OK]


def test_the_bound_in_the_comment_is_the_one_that_was_found() -> None:
    """docs/scaling.md tells what `max_images_in_flight` should be for a CPU pod."""
    (bound,) = re.findall(r"^\| `max_images_in_flight` \| (\d+),", SCALING, re.MULTILINE)
    assert example_settings()["max_images_in_flight"] == int(bound)
