"""A probe where callers must bring a certificate, which the kubelet cannot: `ask_health.py /readyz`."""  # noqa: INP001

import http.client
import os
import ssl
import sys
from pathlib import Path

_TIMEOUT_S = 4


def main() -> None:
    """Ends with 0 if the service answers 200, else with 1."""
    folder = Path(os.environ.get("CLIENT_TLS", "/etc/vitrail/client-tls"))
    context = ssl.create_default_context()
    # This pod asks itself, by an address that stands in no certificate.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    host = "::1" if os.environ.get("VITRAIL_HOST") == "::" else "127.0.0.1"
    port = int(os.environ["VITRAIL_PORT"])
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
    connection.request("GET", sys.argv[1])
    response = connection.getresponse()
    if response.status != http.HTTPStatus.OK:
        sys.exit(response.read().decode(errors="replace"))


if __name__ == "__main__":
    main()
