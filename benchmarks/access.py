"""What asking callers who they are costs a request: microseconds by each way of asking.

python -m benchmarks.access
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from service.api.entrance import Entrance
from service.api.rest.problems import STATUS
from service.security.caller import NO_LIMITS, Allowance
from service.security.gate import Gate
from service.security.keys import digest_of, new_key
from service.security.keys_file import KeysFile
from service.security.meter import Meter
from service.security.rate import Rate
from service.security.token_keys import TokenKeys
from service.security.tokens import TokenRules, Tokens
from service.telemetry import Telemetry

_REQUESTS, _ROUNDS = 2_000, 25
_LIMITED = Allowance(Rate(100_000_000, 1), 1000)
_START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


async def _application(_: Any, __: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    """Answers at once."""
    await send({**_START, "headers": []})


async def _send(_: Any) -> None: ...


async def _receive() -> Any: ...


def _scope(credential: str | None) -> dict[str, Any]:
    """A request as uvicorn hands it on."""
    headers = [(b"host", b"here"), (b"content-type", b"image/jpeg"), (b"content-length", b"100000")]
    if credential is not None:
        headers.append((b"authorization", f"Bearer {credential}".encode()))
    return {"type": "http", "path": "/v1/classify", "headers": headers, "client": ("192.0.2.1", 1)}


async def _microseconds(application: Any, credential: str | None) -> float:
    """Of one request, in the round that was disturbed least."""
    rounds = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        for _ in range(_REQUESTS):
            await application(_scope(credential), _receive, _send)
        rounds.append((time.perf_counter() - begun) / _REQUESTS * 1e6)
    return min(rounds)


def _keys(folder: Path, allowance: Allowance) -> tuple[KeysFile, str]:
    """A file of a thousand keys, and one of them."""
    key = new_key()
    others = [{"id": f"caller{n}", "sha256": digest_of(new_key()).hex(), "scopes": ["infer"]} for n in range(999)]
    own = {"id": "alice", "sha256": digest_of(key).hex(), "scopes": ["infer"]}
    file = folder / "keys.yaml"
    file.write_text(yaml.safe_dump([*others, own]))
    return KeysFile(file, allowance), key


def _tokens(folder: Path) -> tuple[Tokens, str]:
    """What checks tokens, and one that it takes."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "a"}
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": [public]}))
    claims = {"iss": "i", "aud": "a", "sub": "s", "scope": "infer", "exp": int(time.time()) + 3600}
    rules = TokenRules("i", "a", "scope", NO_LIMITS)
    return Tokens(TokenKeys(str(file)), rules), jwt.encode(claims, key, "ES256", {"kid": "a"})


async def main() -> None:
    """Print a table."""
    telemetry = Telemetry(STATUS, 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keys, key = _keys(folder, NO_LIMITS)
        limited, limited_key = _keys(folder, _LIMITED)
        tokens, token = _tokens(folder)
    ways = {
        "an API key": (Gate(Meter(), NO_LIMITS, keys=keys), key),
        "an API key, with a rate and a concurrency": (Gate(Meter(), NO_LIMITS, keys=limited), limited_key),
        "a token that was seen before": (Gate(Meter(), NO_LIMITS, tokens=tokens), token),
        "an address, with a rate": (Gate(Meter(), _LIMITED), None),
    }
    bare = await _microseconds(_application, None)
    print(f"nothing is asked: no gate, +0.0 µs (the measurement itself: {bare:.2f} µs)")
    for way, (gate, credential) in ways.items():
        took = await _microseconds(Entrance(_application, gate, telemetry), credential) - bare
        print(f"{way}: +{took:.1f} µs")
    begun = time.perf_counter()
    for _ in range(500):
        tokens._checked.clear()  # noqa: SLF001 - as if it had never been seen
        await tokens.caller(token)
    print(f"a token that is new (ES256): +{(time.perf_counter() - begun) / 500 * 1e6:.0f} µs")
    telemetry.close()


if __name__ == "__main__":
    asyncio.run(main())
