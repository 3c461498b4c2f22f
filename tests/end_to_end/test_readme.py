"""The README's examples, executed as they stand."""

import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from tests.service.video.clips import every, write_clip

README = Path(__file__).parents[2] / "README.md"


def _examples() -> list[tuple[str, str]]:
    """Commands that call the service, each with the words that its answer must hold."""
    blocks = re.findall(r"```bash\n(.*?)```", README.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ")]
    parts = (line.partition("# →") for line in lines)
    return [(command.strip(), expected.strip()) for command, _, expected in parts]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder with the pictures that the examples name."""
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.jpg", quality=95)
    Image.fromarray(data.coffee()).save(tmp_path / "cup.jpg", quality=95)
    Image.fromarray(data.page()).save(tmp_path / "page.png")
    write_clip(tmp_path / "street.mp4", every(5))
    return tmp_path


def test_there_are_examples() -> None:
    """The README shows how to call the service at all."""
    assert len(_examples()) >= 5


@pytest.mark.parametrize(("command", "expected"), _examples())
def test_example(command: str, expected: str, gateway_url: str, photographs: Path) -> None:
    """Each command of the README runs as it stands and answers what the README says."""
    here = command.replace("localhost:8000", gateway_url.removeprefix("http://"))
    done = subprocess.run(
        ["bash", "-c", f"{here} --silent --show-error --fail-with-body"],
        cwd=photographs,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout
    if " -o " in command:
        Image.open(photographs / command.rsplit(" ", 1)[1]).verify()
