"""A real service over tiny models of every task, at its addresses."""

from collections.abc import Iterator

import pytest

from tests.clients.addresses import Addresses, addresses_of
from tests.end_to_end.gateway import gateway
from tests.service.tiny_tasks import write_tiny_repository


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Where the service answers."""
    root = tmp_path_factory.mktemp("tiny")
    write_tiny_repository(root)
    with gateway(root, tmp_path_factory.mktemp("gateway") / "log", threads=2, grpc_port=0) as running:
        yield addresses_of(running)
