"""The client's package: what it was made from, what it needs, and what it offers."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import vitrail_client
from vitrail_client.proto import vision_pb2

from contract.proto.vitrail.v1 import vision_pb2 as of_the_service
from contract.tasks.table import TASKS

CLIENT = Path(__file__).parents[2] / "clients" / "python"


def generator() -> Any:
    """The script that writes the generated modules."""
    spec = importlib.util.spec_from_file_location("generate_client", CLIENT / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_nothing_has_drifted(tmp_path: Path) -> None:
    """The generated modules are what the service's own description gives now; else `make client-types`."""
    (tmp_path / "proto").mkdir()
    generator().write(tmp_path)

    written = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.py*")}
    assert len(written) == 4
    for path, text in written.items():
        assert (CLIENT / "vitrail_client" / path).read_text() == text, f"{path} is old; run `make client-types`"


def test_messages_are_the_services() -> None:
    """The client's copy of the messages and the service's may be used in one process: they are the same."""
    assert vision_pb2.DESCRIPTOR is of_the_service.DESCRIPTOR
    assert vision_pb2.ClassifyRequest is of_the_service.ClassifyRequest


@pytest.mark.parametrize("client", [vitrail_client.Client, vitrail_client.AsyncClient])
def test_every_task_has_a_method(client: type) -> None:
    """Each task that takes images is a method of both clients."""
    assert {task for task, definition in TASKS.items() if not definition.clips} <= set(dir(client))


def test_both_clients_offer_the_same() -> None:
    """The asynchronous client has the methods of the plain one, and no others."""
    plain, other = (
        {name for name in vars(kind) if not name.startswith("_")}
        for kind in (vitrail_client.Client, vitrail_client.AsyncClient)
    )
    assert plain == other


def test_it_stands_alone() -> None:
    """Importing the client needs neither the service nor the contract, and no library of an extra."""
    # Rich is loaded by httpx, where it is there.
    code = "import sys, vitrail_client; vitrail_client.Client(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CLIENT, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())

    assert "httpx" in loaded
    assert not loaded & {"contract", "service", "grpc", "google.protobuf", "numpy", "PIL", "typer", "websockets"}
