"""One version that the whole pipeline built, for all tests that only look at it."""

from pathlib import Path

import pytest

import build_engines.sources  # noqa: F401  before any test imports timm
from build_engines.artifact import Artifact
from build_engines.pipeline import build
from tests.build_engines.orders import an_order


class Silent:
    """An observer that takes note of the steps and says nothing."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def started(self, step: str) -> None:
        self.steps.append(step)

    def advanced(self, phase: str, done: int, of: int) -> None:
        assert phase
        assert 0 <= done <= of

    def finished(self, step: str, seconds: float) -> None:
        assert seconds >= 0


@pytest.fixture
def observer() -> Silent:
    """Nobody who speaks."""
    return Silent()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A small classifier of timm with random weights, built into a repository of its own."""
    root: Path = tmp_path_factory.mktemp("built")
    return build(an_order(root), Silent())
