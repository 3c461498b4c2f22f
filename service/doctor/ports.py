"""Where the service is to listen."""

import errno
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from service.doctor.finding import Finding, group, ok, problem, warning
from service.settings import Settings

_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Port:
    """One port, and what happened to who asked for it."""

    purpose: str
    """``REST``, ``gRPC`` or ``admin``."""
    flag: str
    host: str
    number: int
    refused: int | None = None
    """The system's error number; None where the port can be had."""
    vitrail: bool | None = False
    """A Vitrail answers there already; None where that cannot be asked, for callers need a certificate."""


@dataclass(frozen=True, slots=True)
class Ports:
    """All of them."""

    ports: tuple[Port, ...]

    @property
    def running(self) -> bool:
        """A Vitrail runs there: the one that is asked about, as a rule."""
        return any(port.vitrail for port in self.ports)

    @property
    def unasked(self) -> bool:
        """Nobody knows whether one does."""
        return any(port.vitrail is None for port in self.ports)


def read(settings: Settings) -> Ports:
    """Take each port for a moment, without listening, and ask who has those that are taken."""
    secure, mutual = settings.tls_certificate is not None, settings.tls_client_ca is not None
    wanted = [("REST", "--port", settings.port), ("gRPC", "--grpc-port", settings.grpc_port_used)]
    if settings.admin_port is not None:
        wanted.append(("admin", "--admin-port", settings.admin_port))
    return Ports(
        tuple(_tried(Port(purpose, flag, settings.host, number), secure, mutual) for purpose, flag, number in wanted)
    )


def _tried(port: Port, secure: bool, mutual: bool) -> Port:  # noqa: FBT001 - of this file alone
    refused = _refusal(port.host, port.number)
    there: bool | None = False
    if refused == errno.EADDRINUSE and port.purpose != "gRPC":
        there = None if mutual else _is_vitrail(port.host, port.number, secure)
    return replace(port, refused=refused, vitrail=there)


def _refusal(host: str, number: int) -> int | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as taken:
            # As servers do it: a connection that has just ended keeps nobody away.
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
    except OSError as error:
        return error.errno
    return None


def _is_vitrail(host: str, number: int, secure: bool) -> bool:  # noqa: FBT001
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where to ask, not where to listen
    try:
        with closing(_connection(here, number, secure)) as connection:
            connection.request("GET", "/healthz")
            return bool(json.loads(connection.getresponse().read(1024)).get("status") == "alive")
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False


def _connection(host: str, number: int, secure: bool) -> http.client.HTTPConnection:  # noqa: FBT001
    if not secure:
        return http.client.HTTPConnection(host, number, timeout=_PATIENCE_S)
    # Who is there is asked, and nothing is told: the certificate is for another name, and another check's business.
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, number, timeout=_PATIENCE_S, context=unchecked)


def free(facts: Ports) -> Iterator[Finding]:
    """Whether each can be had."""
    for port in facts.ports:
        yield _judged(port, facts)


def _judged(port: Port, facts: Ports) -> Finding:
    where = f"{port.host}:{port.number} for {port.purpose}"
    if port.refused is None:
        return ok(f"{where}: {'any free port' if port.number == 0 else 'free'}")
    if port.refused == errno.EADDRINUSE:
        return _taken(port, where, facts)
    if port.refused in (errno.EACCES, errno.EPERM):
        return problem(
            f"{where}: this user may not listen there",
            f"choose a {port.flag} from 1024 on, which a balancer may publish as {port.number}",
        )
    if port.refused == errno.EADDRNOTAVAIL:
        reason = "this machine has no such address"
    else:
        reason = os.strerror(port.refused) if port.refused > 0 else "the name is not known"
    return problem(f"{where}: {reason}", "--host takes an address of this machine, or 0.0.0.0")


def _taken(port: Port, where: str, facts: Ports) -> Finding:
    if facts.running:
        return ok(f"{where}: a Vitrail runs there already")
    if facts.unasked:
        return warning(
            f"{where} is taken, by whom cannot be asked without a caller's certificate",
            f"if it is not this service that runs there: end that program, or choose another {port.flag}",
        )
    return problem(f"{where} is taken by another program", f"end that program, or choose another {port.flag}")


def reached(facts: Ports) -> Iterator[Finding]:
    """Whether callers at other machines reach them, within a container."""
    loopback = all(port.host in ("127.0.0.1", "::1", "localhost") for port in facts.ports)
    if loopback and os.environ.get("KUBERNETES_SERVICE_HOST"):
        yield warning(
            f"the service listens on {facts.ports[0].host} only, and nobody outside this pod reaches it",
            "set --host 0.0.0.0",
        )
    else:
        yield ok("callers on this machine only" if loopback else f"callers that reach {facts.ports[0].host}")


GROUP = group("Ports", read, {"ports": free, "listening": reached})
