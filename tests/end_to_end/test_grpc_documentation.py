"""The examples of docs/grpc.md, executed as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from tests.end_to_end.gateway import gateway

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "grpc.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def answers(model_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the examples print, over the default models."""
    folder = tmp_path_factory.mktemp("examples")
    Image.fromarray(data.chelsea()).save(folder / "cat.jpg", quality=95)
    Image.fromarray(data.coffee()).save(folder / "cup.jpg", quality=95)
    (folder / "contract").symlink_to(ROOT / "contract")
    with gateway(model_repository, folder / "log") as running:
        return [
            subprocess.run(
                [sys.executable, "-c", example.replace("localhost:8001", running.grpc_address)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout
            for example in EXAMPLES
        ]


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_example(place: int, answers: list[str]) -> None:
    """Each example runs as it stands and prints what it says."""
    expected = re.findall(r"# → (.*)", EXAMPLES[place])
    assert expected
    assert all(words in answers[place] for words in expected)
