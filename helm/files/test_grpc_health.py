"""`helm test`: gRPC says that it is SERVING, of the server and of each service."""  # noqa: INP001

import os
import sys
from pathlib import Path

import grpc
from asking import authority, key
from grpc_health.v1 import health_pb2, health_pb2_grpc

_SERVICES = ("", "vitrail.v1.VisionService", "inference.GRPCInferenceService")
_TIMEOUT_S = 30


def channel(address: str) -> grpc.Channel:
    """A channel to the service, over TLS where there is any."""
    if "CA_FILE" not in os.environ:
        return grpc.insecure_channel(address)
    root = authority()
    own = [Path(os.environ[name]).read_bytes() for name in ("CLIENT_KEY", "CLIENT_CERTIFICATE") if name in os.environ]
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(root and root.read_bytes(), *own))


def main() -> None:
    """Ask, and print what came; ends with 1 if it is not as it should be."""
    given = key()
    metadata = [("authorization", f"Bearer {given}")] if given else []
    with channel(sys.argv[1]) as connection:
        stub = health_pb2_grpc.HealthStub(connection)
        for service in _SERVICES:
            request = health_pb2.HealthCheckRequest(service=service)
            status = stub.Check(request, timeout=_TIMEOUT_S, metadata=metadata, wait_for_ready=True).status
            if status != health_pb2.HealthCheckResponse.SERVING:
                name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
                sys.exit(f"{service or 'the server'} is {name}")
    print("SERVING")  # noqa: T201


if __name__ == "__main__":
    main()
