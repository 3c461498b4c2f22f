"""How the pods of `helm test` ask: over TLS where there is any, with a key where one is wanted."""  # noqa: INP001

import os
import ssl
import urllib.request
from pathlib import Path

_TIMEOUT_S = 30


def key() -> str | None:
    """The key that was given, if any."""
    path = os.environ.get("KEY_FILE")
    return Path(path).read_text().strip() if path else None


def answer(url: str, body: bytes | None = None) -> bytes:
    """What the service answers; an error of urllib says what was wrong with anything but 200."""
    headers = {"Content-Type": "image/png"} if body else {}
    if (given := key()) is not None:
        headers["Authorization"] = f"Bearer {given}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    # Without a proxy: what is asked stands within the cluster.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_tls()))
    with opener.open(request, timeout=_TIMEOUT_S) as response:
        return bytes(response.read())


def authority() -> Path | None:
    """The certificate of who signed the service's; without one that is left to the system's own."""
    path = Path(os.environ.get("CA_FILE", ""))
    return path if path.is_file() else None


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority())
    if certificate := os.environ.get("CLIENT_CERTIFICATE"):
        context.load_cert_chain(certificate, os.environ["CLIENT_KEY"])
    return context
