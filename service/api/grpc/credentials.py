"""gRPC over TLS, by the same certificate as REST."""

from typing import Any

import grpc

from service.security.certificate import Certificate, Pem


def server_credentials(certificate: Certificate) -> grpc.ServerCredentials:
    """For a server's port; every connection gets the certificate that holds when it begins."""
    told = certificate.pem

    def newer() -> grpc.ServerCertificateConfiguration | None:
        # Called for each connection, by a thread of the library's; None: nothing has changed.
        nonlocal told
        pem = certificate.pem
        if pem is told:
            return None
        told = pem
        return _configuration(pem)

    fetch: Any = newer
    return grpc.dynamic_ssl_server_credentials(
        _configuration(told), fetch, require_client_authentication=certificate.asks_callers
    )


def _configuration(pem: Pem) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pem.key, pem.certificate)], root_certificates=pem.client_ca)
