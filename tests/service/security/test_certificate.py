"""The service's certificate: what it is made of, and how it is changed while connections come in."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from service.security.certificate import Certificate, CertificateFiles, UnusableCertificate
from tests.service.security.certificates import Authority, Files


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A root."""
    return Authority(tmp_path)


def files_of(files: Files, client_ca: Path | None = None) -> CertificateFiles:
    """As the service wants them."""
    return CertificateFiles(files.certificate, files.key, client_ca)


def shaken(certificate: Certificate, root: Path, client: Files | None = None) -> str:
    """The name of the server in a handshake, without any network; ssl.SSLError where there is none."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=str(root))
    if client is not None:
        context.load_cert_chain(client.certificate, client.key)
    caller = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (caller, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert done == {caller, server}
    found = caller.getpeercert()
    assert found is not None
    return str(dict(pair for (pair,) in found["subject"])["commonName"])  # type: ignore[misc]


def test_a_handshake_gets_the_certificate_of_this_moment(authority: Authority) -> None:
    """Once the files have changed and were looked at, new connections get the new one."""
    old, new = authority.issue("old"), authority.issue("new")
    certificate = Certificate(files_of(old))
    assert shaken(certificate, authority.file) == "old"
    old.certificate.write_bytes(new.certificate.read_bytes())
    old.key.write_bytes(new.key.read_bytes())
    certificate.look()
    assert shaken(certificate, authority.file) == "new"


def test_half_a_change_is_none_yet(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """A certificate without its key leaves the old one, is told once, and holds when the key has come."""
    old, new = authority.issue("old"), authority.issue("new")
    certificate = Certificate(files_of(old))
    old.certificate.write_bytes(new.certificate.read_bytes())
    for _ in range(3):
        certificate.look()
    assert (shaken(certificate, authority.file), len(caplog.records)) == ("old", 1)
    old.key.write_bytes(new.key.read_bytes())
    certificate.look()
    assert shaken(certificate, authority.file) == "new"


def test_callers_must_bring_certificates_of_their_root(tmp_path: Path, authority: Authority) -> None:
    """With a root for callers, nobody connects without one of its certificates; a new root replaces the old."""
    (tmp_path / "other").mkdir()
    server, client, stranger = authority.issue("server"), authority.issue("client"), Authority(tmp_path / "other")
    roots = tmp_path / "clients.crt"
    roots.write_bytes(authority.file.read_bytes())
    certificate = Certificate(files_of(server, roots))
    assert shaken(certificate, authority.file, client) == "server"
    for wrong in (None, stranger.issue("client")):
        with pytest.raises(ssl.SSLError):
            shaken(certificate, authority.file, wrong)
    roots.write_bytes(stranger.file.read_bytes())
    certificate.look()
    assert shaken(certificate, authority.file, stranger.issue("client")) == "server"
    with pytest.raises(ssl.SSLError):
        shaken(certificate, authority.file, client)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=str)
def test_nobody_goes_on_from_before_with_a_root_that_is_gone(
    tmp_path: Path, authority: Authority, version: ssl.TLSVersion
) -> None:
    """Once callers' roots are others, who connected by the old ones cannot by what is left of that connection."""
    (tmp_path / "other").mkdir()
    server, client, stranger = authority.issue("server"), authority.issue("client"), Authority(tmp_path / "other")
    roots = tmp_path / "clients.crt"
    roots.write_bytes(authority.file.read_bytes())
    certificate = Certificate(files_of(server, roots))
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(client.certificate, client.key)
    context.maximum_version = version
    session = connected(certificate, context)
    roots.write_bytes(stranger.file.read_bytes())
    certificate.look()
    with pytest.raises(ssl.SSLError):
        connected(certificate, context, session)


def connected(
    certificate: Certificate, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSession | None:
    """What a connection leaves behind to go on from, without any network; ssl.SSLError where there is none."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = context.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (caller, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    server.write(b"x")
    assert caller.read(1) == b"x"
    return caller.session


@pytest.mark.parametrize("broken", ["missing", "no PEM", "other key", "locked key", "no root"])
def test_wrong_files_are_told_at_the_start(tmp_path: Path, authority: Authority, broken: str) -> None:
    """What cannot be read, is none, or does not go together is named by its flag."""
    files, root = authority.issue("server"), None
    if broken == "missing":
        files.certificate.unlink()
    elif broken == "no PEM":
        files.certificate.write_text("nothing")
    elif broken == "other key":
        files.key.write_bytes(authority.issue("other").key.read_bytes())
    elif broken == "locked key":
        files = authority.issue("server", serialization.BestAvailableEncryption(b"sesame"))
    else:
        root = tmp_path / "empty"
        root.write_text("")
    with pytest.raises(UnusableCertificate, match="--tls-"):
        Certificate(files_of(files, root))
