"""Certificates, made on the spot."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from service.doctor.tls import client_roots, pair, read, validity
from service.settings import Settings
from tests.service.doctor.telling import OK, PROBLEM, WARNING, levels, only

NOW = datetime.now(UTC)
KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def certificate(days: int = 365, begins: int = -1, *, named: bool = True) -> bytes:
    """A certificate of `KEY`, so many days from now, in PEM form."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vitrail")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(7).not_valid_before(NOW + timedelta(days=begins))
    builder = builder.not_valid_after(NOW + timedelta(days=days))
    if named:
        names = [x509.DNSName("vitrail.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


def key(of: ec.EllipticCurvePrivateKey = KEY, phrase: bytes | None = None) -> bytes:
    """A private key in PEM form."""
    encryption: KeySerializationEncryption = BestAvailableEncryption(phrase) if phrase else NoEncryption()
    return of.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def settings(folder: Path, certificate: bytes | None, key: bytes, mode: int = 0o600) -> Settings:
    """Settings with these files."""
    if certificate is not None:
        (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)
    (folder / "tls.key").chmod(mode)
    return Settings(tls_certificate=folder / "tls.crt", tls_key=folder / "tls.key")


def test_a_pair_that_fits(tmp_path: Path) -> None:
    """A certificate with its own key is well, and told with its names and its end."""
    facts = read(settings(tmp_path, certificate(), key()))
    assert levels(pair(facts)) == [OK]
    assert only(validity(facts)).found.startswith("for vitrail.example, 127.0.0.1, to 20")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((certificate(), key(OTHER_KEY)), "is not the key of"),
        ((certificate(), key(phrase=b"secret")), "pass phrase"),
        ((b"nonsense", key()), "not PEM files"),
        ((None, key()), "cannot be read: No such file"),
    ],
    ids=["another key", "a pass phrase", "no PEM", "absent"],
)
def test_a_pair_that_does_not_fit(parts: tuple[bytes | None, bytes], words: str, tmp_path: Path) -> None:
    """Another certificate's key, a protected one, nonsense and a file that is gone are each told in words."""
    finding = only(pair(read(settings(tmp_path, *parts))))
    assert (finding.level, words in finding.found) == (PROBLEM, True)


def test_a_key_that_all_can_read(tmp_path: Path) -> None:
    """A private key that every user may read is told of."""
    assert levels(pair(read(settings(tmp_path, certificate(), key(), 0o644)))) == [WARNING]


@pytest.mark.parametrize(
    ("shown", "level"),
    [
        (certificate(days=-1, begins=-9), PROBLEM),
        (certificate(begins=2), PROBLEM),
        (certificate(days=7), WARNING),
        (certificate(named=False), WARNING),
        (b"nonsense", WARNING),
    ],
    ids=["over", "not yet", "soon", "nameless", "unreadable"],
)
def test_the_time_of_a_certificate(shown: bytes, level: str, tmp_path: Path) -> None:
    """A certificate that is over or not yet begun is a problem; one that ends soon, or names nobody, a warning."""
    assert levels(validity(read(settings(tmp_path, shown, key())))) == [level]


def test_roots_of_callers(tmp_path: Path) -> None:
    """The file of the callers' roots must hold certificates."""
    chosen = settings(tmp_path, certificate(), key())
    told = []
    for content in (certificate(), b"nonsense"):
        (tmp_path / "ca.crt").write_bytes(content)
        told += levels(client_roots(read(chosen.model_copy(update={"tls_client_ca": tmp_path / "ca.crt"}))))
    absent = chosen.model_copy(update={"tls_client_ca": tmp_path / "none.crt"})
    assert [*told, *levels(client_roots(read(absent)))] == [OK, PROBLEM, PROBLEM]


def test_no_tls() -> None:
    """Without a certificate every check says that none is used."""
    facts = read(Settings())
    assert [levels(check(facts)) for check in (pair, validity, client_roots)] == [[OK]] * 3
