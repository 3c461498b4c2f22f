"""Real Tritons over a repository of tiny models, and pools over them."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferenceServerClient

from contract.card import Platform
from contract.preprocess import Pixels
from contract.repository import Repository
from service.engines.triton.addresses import Lookup
from service.engines.triton.engine import TritonEngine
from service.engines.triton.events import TritonEvents
from service.engines.triton.patience import Patience
from service.engines.triton.pool import TritonPool
from tests.tiny_models import SIDE, colour_model, write_version
from tests.triton_server import TritonServer, require_triton, triton_server

IMPATIENT = Patience(
    call_s=2.0, look_s=2.0, request_s=10.0, load_s=20.0, unload_s=10.0, check_s=0.1, lookup_s=0.1, start_s=5.0
)


@pytest.fixture(autouse=True, scope="session")
def _a_triton_can_run() -> None:
    require_triton()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The classifier ``colours`` in two versions, which answer differently."""
    root = tmp_path / "repository"
    for version in (1, 2):
        write_version(root, "colours", version, model=colour_model(8.0 * version), platform=Platform.PYTHON)
    return root


@pytest.fixture
def triton(repository: Path) -> Iterator[TritonServer]:
    """One server."""
    with triton_server(repository) as server:
        yield server


@pytest.fixture
def two_tritons(repository: Path) -> Iterator[tuple[TritonServer, TritonServer]]:
    """Two servers over the same repository."""
    with triton_server(repository) as one, triton_server(repository) as other:
        yield one, other


class Happenings:
    """What a pool has told, in order."""

    def __init__(self) -> None:
        self.ups: list[tuple[str, bool]] = []
        self.retries: list[str] = []
        self.repairs: list[str] = []
        self.events = TritonEvents(
            lambda address, up: self.ups.append((address, up)),
            self.retries.append,
            self.repairs.append,
            lambda _address: None,
        )


@asynccontextmanager
async def pool_over(*servers: TritonServer, **options: Any) -> AsyncIterator[TritonPool]:
    """A pool that has started."""
    pool = TritonPool([server.url for server in servers], patience=options.pop("patience", IMPATIENT), **options)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


async def open_version(pool: TritonPool, repository: Path, version: int = 1, name: str = "colours") -> TritonEngine:
    """The engine of a version in the repository."""
    card = Repository(repository).read_card(name, version)
    return await pool.open(card, max_queue=64, max_batch_size=None)


def pictures(count: int) -> list[Pixels]:
    """Images of noise, the same in every run."""
    return list(noise((count, SIDE, SIDE, 3)))


def noise(shape: tuple[int, ...]) -> Pixels:
    """The same in every run."""
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def ready_on(server: TritonServer) -> set[int]:
    """Versions of ``colours`` that this server says are ready."""
    with InferenceServerClient(server.url) as client:
        models = client.get_model_repository_index().models
    return {int(entry.version) for entry in models if entry.name == "colours" and entry.state == "READY"}


def unload_on(server: TritonServer) -> None:
    """Take ``colours`` away behind the pool's back."""
    with InferenceServerClient(server.url) as client:
        client.unload_model("colours")


def batches_run(server: TritonServer) -> int:
    """Executions of version 1 since it was loaded."""
    with InferenceServerClient(server.url) as client:
        return int(client.get_inference_statistics("colours", "1").model_stats[0].execution_count)


def answered_by(server: TritonServer) -> int:
    """Requests that version 1 has answered since it was loaded."""
    with InferenceServerClient(server.url) as client:
        return int(client.get_inference_statistics("colours", "1").model_stats[0].inference_stats.success.count)


@pytest.fixture
def free_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def pool_named(url: str, lookup: Lookup, **options: Any) -> AsyncIterator[TritonPool]:
    """A pool over a name, by a resolver of one's own."""
    pool = TritonPool([url], patience=IMPATIENT, lookup=lookup, **options)
    await pool.start()
    try:
        yield pool
    finally:
        await pool.close()


_OBEDIENT = '''

_Twin = TritonPythonModel
_CONTROL = Path(__file__).parents[3] / "control"


class TritonPythonModel(_Twin):
    """Does what the files in a folder beside the repository tell it."""

    def initialize(self, args):
        (_CONTROL / "loading").touch()
        self._wait("hold_loading")
        super().initialize(args)

    def execute(self, requests):
        if (_CONTROL / "obey").exists():
            (_CONTROL / "running").touch()
            self._wait("hold")
            if any(request.is_cancelled() for request in requests):
                (_CONTROL / "cancelled").touch()
            if (_CONTROL / "die").exists():
                import os
                os._exit(1)
            if (_CONTROL / "fail").exists():
                raise RuntimeError("told to fail")
        return super().execute(requests)

    def _wait(self, name):
        import time
        end = time.monotonic() + 30
        while (_CONTROL / name).exists() and time.monotonic() < end:
            time.sleep(0.005)
'''


class Control:
    """Tells the obedient model what to do, and hears what it did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def tell(self, *names: str) -> None:
        """``hold``, ``die``, ``fail`` for requests (with ``obey``), ``hold_loading`` for loads."""
        for name in names:
            (self.folder / name).touch()

    def stop(self, *names: str) -> None:
        """No more of that."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def heard(self, name: str) -> bool:
        """Whether the model said ``running``, ``loading`` or ``cancelled`` since this was last asked and true."""
        path = self.folder / name
        if found := path.exists():
            path.unlink()
        return found


@pytest.fixture
def control(repository: Path) -> Iterator[Control]:
    """Makes the repository's versions obedient; warm-up, which nobody can tell, is no request."""
    for model in repository.glob("*/*/model.py"):
        model.write_text(model.read_text() + _OBEDIENT)
    control = Control(repository.parent / "control")
    yield control
    control.stop("hold", "hold_loading")
