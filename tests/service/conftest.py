"""A repository of tiny models, and a service over it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.running import Running, running
from tests.service.tiny_tasks import write_tiny_repository


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model a task, and a second version of the classifier; nobody writes to it."""
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_repository(root)
    return root


@pytest.fixture
async def service(tiny_repository: Path) -> AsyncIterator[Running]:
    """A service over the tiny models."""
    async with running(tiny_repository) as service:
        yield service
