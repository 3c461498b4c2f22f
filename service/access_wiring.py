"""Settings → the parts that say who may ask; `service.app` puts them in their places."""

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from service.security.admin import AdminAccess
from service.security.caller import Allowance
from service.security.certificate import Certificate, CertificateFiles, UnusableCertificate
from service.security.gate import Gate
from service.security.keys_file import KeysFile, UnusableKeys
from service.security.meter import Meter
from service.security.own_pages import OwnPages
from service.security.rate import Rate
from service.settings import Settings

if TYPE_CHECKING:
    from service.security.tokens import Tokens

_LOOK_S = 1.0

_log = logging.getLogger("vitrail.security")


class UnusableAccess(Exception):
    """Keys, tokens or a certificate that were asked for cannot be used; the message says which, and why."""


class Access:
    """Who may ask, as the settings say, and as the files say that they name.

    Attributes:
        gate: what every request passes; None where nobody is asked and nothing is counted, which then costs nothing.
        admin: who may change what is served.
        pages: whose pages may do so.
        certificate: the service's; None where there is no TLS.
    """

    def __init__(self, settings: Settings) -> None:
        """UnusableAccess where a service would start that is more open than it was meant to be."""
        allowance = Allowance(
            Rate.of(settings.rate_limit) if settings.rate_limit else None, settings.max_concurrent_per_caller
        )
        try:
            self._keys = KeysFile(settings.keys_file, allowance) if settings.keys_file else None
            self.certificate = _certificate(settings)
        except (UnusableKeys, UnusableCertificate) as error:
            raise UnusableAccess(str(error)) from error
        self._tokens = _tokens(settings, allowance)
        key = settings.admin_key.get_secret_value() if settings.admin_key else None
        keyed = self._keys is not None or self._tokens is not None
        wanted = keyed or allowance != Allowance()
        gate = Gate(Meter(), allowance, keys=self._keys, tokens=self._tokens, admin_key=key) if wanted else None
        self.gate = gate
        self.admin = AdminAccess(key, keyed=keyed)
        self.pages = OwnPages(settings.cors_origins)

    @property
    def keyed(self) -> bool:
        """Callers are asked who they are."""
        return self.gate is not None and self.gate.keyed

    async def follow(self) -> None:
        """Read files again that have changed, and fetch keys that are old, until cancelled."""
        while True:
            for file in (self._keys, self.certificate):
                if file is not None:
                    await self._looked(asyncio.to_thread(file.look))
            if self._tokens is not None:
                await self._looked(self._tokens.keys.look())
            await asyncio.sleep(_LOOK_S)

    @staticmethod
    async def _looked(look: Awaitable[None]) -> None:
        """Whatever goes wrong with one look, there is a next: else a key that is taken back would go on counting."""
        try:
            await look
        except Exception:  # noqa: BLE001 - whatever it is, it is told
            _log.exception("keys or certificates could not be looked at; they will be again")


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(CertificateFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca))


def _tokens(settings: Settings, allowance: Allowance) -> "Tokens | None":
    """What checks tokens, if they are wanted; UnusableAccess where the libraries for it are not there."""
    if settings.jwt_keys is None:
        return None
    try:
        # Whoever wants no tokens need not have the library for them.
        from service.security.token_keys import TokenKeys, UnusableTokenKeys  # noqa: PLC0415
        from service.security.tokens import TokenRules, Tokens  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UnusableAccess("--jwt-keys needs PyJWT: pip install 'vitrail[jwt]'") from error
    rules = TokenRules(settings.jwt_issuer or "", settings.jwt_audience or "", settings.jwt_scope_claim, allowance)
    try:
        return Tokens(TokenKeys(settings.jwt_keys), rules)
    except UnusableTokenKeys as error:
        raise UnusableAccess(str(error)) from error
