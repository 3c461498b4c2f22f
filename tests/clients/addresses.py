"""Where a service answers, by transport."""

import re
from dataclasses import dataclass
from typing import Literal

from tests.end_to_end.gateway import Gateway

Transport = Literal["rest", "grpc"]
TRANSPORTS: tuple[Transport, ...] = ("rest", "grpc")


@dataclass(frozen=True)
class Addresses:
    """One service's addresses."""

    rest: str
    grpc: str

    def over(self, transport: Transport) -> str:
        """The address of a transport."""
        return self.rest if transport == "rest" else self.grpc


def addresses_of(gateway: Gateway) -> Addresses:
    """The addresses that a service has logged."""
    found = re.search(r"listening for gRPC on port (\d+)", gateway.log.read_text())
    assert found is not None, gateway.log.read_text()
    return Addresses(gateway.url, f"grpc://127.0.0.1:{found[1]}")
