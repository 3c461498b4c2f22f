"""The certificate that the service shows, its key, and the roots by which it checks its callers."""

import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.doctor.finding import Finding, group, ok, problem, warning
from service.settings import Settings

_SOON = timedelta(days=30)
_OTHERS = stat.S_IRWXO
_NOT_USED = "not used (--tls-certificate)"


@dataclass(frozen=True, slots=True)
class Span:
    """When a certificate holds."""

    begins: datetime
    ends: datetime
    names: tuple[str, ...] = ()
    """Whom it is for."""


@dataclass(frozen=True, slots=True)
class Tls:
    """What the files hold."""

    certificate: Path | None
    now: datetime
    pair_problem: str = ""
    """Why certificate and key cannot be used together."""
    key_mode: int = 0
    span: Span | None = None
    """None where it cannot be read."""
    span_problem: str = ""
    roots: Path | None = None
    roots_problem: str = ""


def read(settings: Settings) -> Tls:
    """Load the files as the service does."""
    now = datetime.now(UTC)
    if settings.tls_certificate is None or settings.tls_key is None:
        return Tls(None, now)
    span, span_problem = _span(settings.tls_certificate)
    return Tls(
        settings.tls_certificate,
        now,
        pair_problem=_pair(settings.tls_certificate, settings.tls_key),
        key_mode=_mode(settings.tls_key),
        span=span,
        span_problem=span_problem,
        roots=settings.tls_client_ca,
        roots_problem=_roots(settings.tls_client_ca) if settings.tls_client_ca else "",
    )


def _pair(certificate: Path, key: Path) -> str:
    for path in (certificate, key):
        try:
            content = path.read_bytes()
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
    if b"ENCRYPTED" in content:
        return f"{key} is protected by a pass phrase, which nobody could enter"
    try:
        # Without an answer to give, OpenSSL would ask for a pass phrase on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: b"-")
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or "").upper():
            return f"{key} is not the key of {certificate}"
        return f"{certificate} and {key} are not PEM files of a certificate and its key"
    return ""


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _span(path: Path) -> tuple[Span | None, str]:
    try:
        # Python's own library reads certificates, and tells nobody when they end.
        from cryptography import x509  # noqa: PLC0415 - it comes with the extra jwt
    except ImportError:
        return None, "when it ends cannot be read without the package cryptography (vitrail[jwt])"
    try:
        first = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError):
        return None, "it cannot be read"
    try:
        names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = (*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress)))
    except x509.ExtensionNotFound:
        known = ()
    return Span(first.not_valid_before_utc, first.not_valid_after_utc, known), ""


def _roots(path: Path) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        return f"{path} holds no certificate in PEM form"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return ""


def pair(facts: Tls) -> Iterator[Finding]:
    """Whether certificate and key can be used, and nobody else can read the key."""
    if facts.certificate is None:
        yield ok(_NOT_USED)
    elif facts.pair_problem:
        yield problem(
            facts.pair_problem,
            "put the certificate's own key beside it, in PEM form without a pass phrase, readable by this user",
        )
    elif facts.key_mode & _OTHERS:
        yield warning(
            f"every user of this machine may read the private key (mode {facts.key_mode:03o})",
            "chmod o-rwx (defaultMode: 0440 and fsGroup in Kubernetes)",
        )
    else:
        yield ok("certificate and key belong together")


def validity(facts: Tls) -> Iterator[Finding]:
    """Whether the certificate holds now, and for a while."""
    if facts.certificate is None:
        yield ok(_NOT_USED)
    elif facts.span is None:
        yield warning(f"{facts.certificate}: {facts.span_problem}", "see `openssl x509 -noout -dates -in FILE`")
    elif facts.now >= facts.span.ends:
        yield problem(
            f"the certificate has ended on {facts.span.ends:%Y-%m-%d}",
            "put a new one in its place; it is read anew by itself",
        )
    elif facts.now < facts.span.begins:
        yield problem(
            f"the certificate begins on {facts.span.begins:%Y-%m-%d} only", "set the clock, or take another certificate"
        )
    elif facts.span.ends - facts.now <= _SOON:
        yield warning(f"the certificate ends on {facts.span.ends:%Y-%m-%d}", "renew it; it is read anew by itself")
    elif not facts.span.names:
        yield warning(
            "the certificate names nobody (no subjectAltName), and clients refuse such ones",
            "take a certificate with the names under which callers reach the service",
        )
    else:
        yield ok(f"for {', '.join(facts.span.names)}, to {facts.span.ends:%Y-%m-%d}")


def client_roots(facts: Tls) -> Iterator[Finding]:
    """Whether callers' certificates can be checked."""
    if facts.roots is None:
        yield ok("callers need no certificate (--tls-client-ca)")
    elif facts.roots_problem:
        yield problem(facts.roots_problem, "put the roots of the callers' certificates there, in PEM form")
    else:
        yield ok(f"callers' certificates are checked by {facts.roots}")


GROUP = group("TLS", read, {"certificate": pair, "certificate's time": validity, "callers' roots": client_roots})
