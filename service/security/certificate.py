"""The service's certificate: read and checked at the start, and read again when its files change."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

_log = logging.getLogger("vitrail.security")


class UnusableCertificate(Exception):
    """The files do not make a certificate; the message says which is wrong, and how."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where it lies, in PEM."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """Roots by which callers' certificates are checked; None: callers bring none."""


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files hold."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None


class Certificate:
    """The certificate as it is now, for REST by `context`, for gRPC by `pem`.

    Attributes:
        pem: what the files held when they could last be used.
        context: for the servers, which keep it; connections that begin get what holds then.
    """

    def __init__(self, files: CertificateFiles) -> None:
        """Read it; UnusableCertificate if that cannot be."""
        self._files = files
        self.pem = _read(files)
        self._current = _context(files)
        self._problem: str | None = None
        self.context = _context(files)
        # Whatever name a caller asks for, or none: this is where a handshake gets the certificate of this moment.
        self.context.sni_callback = self._give_current

    @property
    def asks_callers(self) -> bool:
        """Whether callers must bring certificates of their own."""
        return self._files.client_ca is not None

    def look(self) -> None:
        """Follow the files if they have changed; what cannot be used is told in the log, and what held holds on.

        Two files are never replaced at once: what does not fit together now may a second later.
        """
        try:
            pem = _read(self._files)
            if pem == self.pem:
                self._problem = None
                return
            self._current = _context(self._files)
        except UnusableCertificate as error:
            if str(error) != self._problem:
                _log.error("%s; the certificate from before holds on", error)
            self._problem = str(error)
            return
        self.pem, self._problem = pem, None
        _log.info("a new certificate from %s", self._files.certificate)

    def _give_current(self, handshake: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        del name, context
        handshake.context = self._current


def _read(files: CertificateFiles) -> Pem:
    ca = None if files.client_ca is None else _content(files.client_ca, "--tls-client-ca")
    return Pem(_content(files.certificate, "--tls-certificate"), _content(files.key, "--tls-key"), ca)


def _content(path: Path, flag: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableCertificate(f"{flag} {path} cannot be read: {error.strerror}") from error


def _context(files: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # A key with a password would have OpenSSL ask for it at the terminal.
        context.load_cert_chain(files.certificate, files.key, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "no certificate and key in PEM, or the key has a password"
        why = f"--tls-certificate {files.certificate} and --tls-key {files.key} do not go together: {reason}"
        raise UnusableCertificate(why) from error
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (ssl.SSLError, ValueError) as error:
            raise UnusableCertificate(f"--tls-client-ca {files.client_ca} holds no certificate in PEM") from error
        context.verify_mode = ssl.CERT_REQUIRED
        # A connection that goes on from an earlier one brings no certificate: roots that are gone would hold for hours.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context
