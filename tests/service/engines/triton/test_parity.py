"""The REST suite once more, with Triton running the models: over the same repository it gives the same answers.

`make parity` runs every test of the suite that is given the service, as it stands. Those that make repositories of
their own are about what comes before and after the engine.
"""

import inspect
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

from contract.task import Task
from tests.service.api.rest import test_predict
from tests.service.api.rest.test_inference_protocol import client, port  # noqa: F401  fixtures of its tests
from tests.service.running import WHITE, Running, encode, running
from tests.service.tiny_tasks import write_tiny_repository
from tests.tiny_models import as_twins
from tests.triton_server import TritonServer, triton_server

REST = Path(test_predict.__file__).parent
SUITE = [import_module(f"tests.service.api.rest.{file.stem}") for file in sorted(REST.glob("test_*.py"))]
ELSEWHERE = {
    "test_requests_are_counted_by_stage_and_batch": "Triton counts its own batches",
}
"""Tests of what only the embedded engine has, and why."""


def _asking_the_service(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The tests of a module that are given the service."""
    for name, test in vars(module).items():
        if name.startswith("test_") and "service" in inspect.signature(test).parameters and name not in ELSEWHERE:
            yield name, test


def _copy(test: Any) -> Any:
    """The same test, so that a mark on it is not on the one of the suite."""
    copy = FunctionType(test.__code__, test.__globals__, test.__name__, test.__defaults__, test.__closure__)
    vars(copy).update(vars(test) | {"pytestmark": list(getattr(test, "pytestmark", []))})
    copy.__annotations__ = test.__annotations__
    return copy


for _module in SUITE:
    for _name, _test in _asking_the_service(_module):
        assert _name not in globals(), f"{_name} stands in two files"
        globals()[_name] = pytest.mark.parity(_copy(_test))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny models of all tasks, as Triton runs them."""
    root = tmp_path_factory.mktemp("twins")
    write_tiny_repository(root)
    as_twins(root)
    return root


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[TritonServer]:
    """A Triton for all tests here."""
    with triton_server(repository) as server:
        yield server


@pytest.fixture
async def service(server: TritonServer, repository: Path) -> AsyncIterator[Running]:
    """The service, with its models in Triton."""
    async with running(repository, triton_url=server.url) as service:
        yield service


async def test_both_engines_give_the_same_answers(service: Running, repository: Path) -> None:
    """For every task, one repository answers alike whichever engine runs it."""
    noise = encode(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8))
    async with running(repository) as embedded:
        for task in test_predict.ANSWERS:
            for image in (WHITE, noise):
                answers = [(await one.ask(f"/v1/{task}", image)).json() for one in (service, embedded)]
                assert answers[0]["results"] == answers[1]["results"]
                assert answers[0]["model"] == answers[1]["model"]
    assert len(test_predict.ANSWERS) == len(Task) - 1
