"""An identity provider in small: keys of its own, tokens that it signs, and an address where its public keys stand."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

NAME, AUDIENCE = "https://issuer.example", "vitrail"


@dataclass
class Issuer:
    """Its private keys by their ids; all of them are published."""

    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    asked: int = 0
    away: bool = False
    url: str = ""

    def __post_init__(self) -> None:
        self.rotate("first")

    def rotate(self, key_id: str, *, keep: bool = True) -> None:
        """Have a new key."""
        if not keep:
            self.keys.clear()
        self.keys[key_id] = ec.generate_private_key(ec.SECP256R1())

    def jwks(self) -> bytes:
        """The public keys."""
        keys = [
            {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}
            for key_id, key in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def token(self, *, key_id: str = "first", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token for a minute, with these claims instead of, or beside, the usual ones; None leaves one out."""
        now = int(time.time())
        usual = {"iss": NAME, "aud": AUDIENCE, "sub": "carol", "exp": now + 60, "scope": "openid infer"}
        stated = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        return jwt.encode(stated, self.keys[key_id], "ES256", {"kid": key_id, **(header or {})})


@contextmanager
def published(issuer: Issuer) -> Iterator[Issuer]:
    """Have an issuer's keys at an address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Give the keys, unless it is away."""
            issuer.asked += 1
            body = b"" if issuer.away else issuer.jwks()
            self.send_response(503 if issuer.away else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
