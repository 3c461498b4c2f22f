"""Ports: real ones, on the loopback."""

import errno
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from service.doctor.ports import Port, Ports, free, reached, read
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only


def a_port(refused: int | None = None, host: str = "127.0.0.1", *, vitrail: bool = False) -> Ports:
    """One port, and what the system said."""
    return Ports((Port("REST", "--port", host, 80, refused, vitrail),))


@pytest.fixture
def taken() -> Iterator[int]:
    """The number of a port that somebody else has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


class _Alive(BaseHTTPRequestHandler):
    """Answers as the service's probe does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "alive"}')

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing."""


@pytest.fixture
def vitrail() -> Iterator[int]:
    """The number of a port at which a service answers."""
    with HTTPServer(("127.0.0.1", 0), _Alive) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_free_ports() -> None:
    """Ports that nobody has are free, and port 0 is any."""
    facts = read(Settings(port=0, admin_port=0))
    assert [port.purpose for port in facts.ports] == ["REST", "gRPC", "admin"]
    assert levels(free(facts)) == [OK, OK, OK]


def test_a_port_of_another_program(taken: int) -> None:
    """A port that another program has is a problem, and its flag is named."""
    rest, grpc = free(read(Settings(port=taken, grpc_port=0)))
    assert (rest.level, "--port" in rest.change, grpc.level) == (PROBLEM, True, OK)


def test_a_service_that_runs(vitrail: int) -> None:
    """Within the container of a service that runs its own ports are taken, and that is well."""
    rest, _ = free(read(Settings(port=vitrail, grpc_port=0)))
    assert (rest.level, "runs there already" in rest.found) == (OK, True)


def test_the_grpc_port_of_a_service_that_runs() -> None:
    """Where REST is the service's own, a gRPC port that is taken is, too."""
    grpc = Port("gRPC", "--grpc-port", "127.0.0.1", 8001, errno.EADDRINUSE)
    assert levels(free(Ports((*a_port(errno.EADDRINUSE, vitrail=True).ports, grpc)))) == [OK, OK]


def test_a_service_that_wants_certificates(taken: int, tmp_path: Path) -> None:
    """Where callers need a certificate nobody can be asked, so a port that is taken is no more than a warning."""
    files = dict.fromkeys(("tls_certificate", "tls_key", "tls_client_ca"), tmp_path / "a.pem")
    rest, _ = free(read(Settings(port=taken, grpc_port=0, **files)))
    assert (rest.level, "without a caller's certificate" in rest.found) == (WARNING, True)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "may not listen there"),
        (errno.EADDRNOTAVAIL, "no such address"),
        (errno.ENOBUFS, "No buffer space available"),
        (socket.EAI_NONAME, "the name is not known"),
    ],
)
def test_what_the_system_refuses(number: int, words: str) -> None:
    """A privileged port, an address of another machine and others are told in words."""
    finding = only(free(a_port(number)))
    assert (finding.level, words in finding.found) == (PROBLEM, True)


def test_a_host_that_is_none() -> None:
    """A name that nobody knows is told of."""
    assert levels(free(read(Settings(host="no.such.host.invalid")))) == [PROBLEM, PROBLEM]


def test_a_pod_that_listens_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Kubernetes the loopback reaches nobody; elsewhere it is a choice."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert levels(reached(a_port())) == [OK]
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert [levels(reached(a_port(host=host))) for host in ("127.0.0.1", "0.0.0.0")] == [[WARNING], [OK]]  # noqa: S104
