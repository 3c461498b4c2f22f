"""gRPC over TLS: by the service's certificate, by callers' own, and after both have changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.service.running import Running, running
from tests.service.security.certificates import Authority, Files


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A root."""
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Files:
    """The service's certificate."""
    return authority.issue("server")


@pytest.fixture
async def service(tiny_repository: Path, authority: Authority, server: Files) -> AsyncIterator[Running]:
    """A service that speaks TLS, and listens for gRPC on a free port; callers must bring certificates."""
    tls = {"tls_certificate": server.certificate, "tls_key": server.key, "tls_client_ca": authority.file}
    async with running(tiny_repository, wait=False, port=0, **tls) as service:
        await service.application.listen_grpc()
        yield service


def credentials_of(root: Path, client: Files | None) -> grpc.ChannelCredentials:
    """What a caller trusts, and what it brings."""
    parts = (client.key.read_bytes(), client.certificate.read_bytes()) if client else (None, None)
    return grpc.ssl_channel_credentials(root.read_bytes(), *parts)


async def answers(service: Running, root: Path, client: Files | None) -> bool:
    """Whether a call gets through, by a new connection."""
    # Channels of one process to one address share their connections unless they are told not to.
    alone = [("grpc.use_local_subchannel_pool", 1)]
    address = f"127.0.0.1:{service.application.grpc.port}"
    async with grpc.aio.secure_channel(address, credentials_of(root, client), alone) as channel:
        call = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        code = await call.code()
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE)
    return bool(code is grpc.StatusCode.OK)


async def test_callers_bring_certificates(service: Running, authority: Authority) -> None:
    """With one of the right root a call gets through, without one it does not."""
    assert await answers(service, authority.file, authority.issue("client"))
    assert not await answers(service, authority.file, None)


async def test_a_new_certificate_and_new_roots_hold_for_new_connections(
    tmp_path: Path, service: Running, authority: Authority, server: Files
) -> None:
    """Files that were changed and looked at are those that the next connection meets."""
    (tmp_path / "new").mkdir()
    other, client = Authority(tmp_path / "new"), authority.issue("client")
    fresh = other.issue("server")
    server.certificate.write_bytes(fresh.certificate.read_bytes())
    server.key.write_bytes(fresh.key.read_bytes())
    before = authority.file.read_bytes()
    authority.file.write_bytes(other.file.read_bytes())
    assert service.application.access.certificate is not None
    service.application.access.certificate.look()
    assert await answers(service, other.file, other.issue("client"))
    assert not await answers(service, other.file, client)
    authority.file.write_bytes(before)
