"""What Helm prints after an installation: how to ask, and what is open or missing."""

import pytest

from tests.helm.chart import Values, merged, nested, render
from tests.helm.switches import CLIENTS, SWITCHES

TOKENS = {
    "settings": {
        "jwt_keys": "https://id.example.com/keys",
        "jwt_issuer": "https://id.example.com",
        "jwt_audience": "me",
    }
}
OPEN_METRICS = {"serviceMonitor": {"enabled": True}, "security": {"adminPort": {"enabled": False}}}

NOTES: list[tuple[str, Values, Values]] = [
    ("nobody needs a key", {}, nested("security.keys.secret", "keys")),
    ("helm test has none", nested("security.keys.secret", "keys"), nested("tests.keySecret", "key")),
    ("only pods of this namespace", {}, CLIENTS),
    (
        "any address at the port of triton.address",
        SWITCHES["engine"]["elsewhere"],
        nested("networkPolicy.triton", [{"ipBlock": {"cidr": "10.0.0.0/24"}}]),
    ),
    ("networkPolicy is off", nested("networkPolicy.enabled", False), nested("networkPolicy.enabled", True)),
    ("known only to the replica that took it", {}, nested("service.sessionAffinity", "ClientIP")),
    ("While it is empty no gateway is ready", {}, nested("build.enabled", True)),
    ("Models are built by Jobs", nested("build.enabled", True), nested("build.enabled", False)),
    ("rollout status deployment/demo-vitrail", {}, nested("videos.persistent", True)),
    ("curl http://127.0.0.1", {}, nested("security.tls.secret", "tls")),
    ("curl --header 'Authorization", nested("security.keys.secret", "keys"), nested("security.keys.secret", "")),
    ("reaches no issuer of tokens", TOKENS, nested("networkPolicy.gatewayEgress", [{"ports": [{"port": 443}]}])),
    (
        "Prometheus has none",
        merged(OPEN_METRICS, nested("security.keys.secret", "keys")),
        nested("security.adminPort.enabled", True),
    ),
]


@pytest.mark.parametrize(("says", "where", "unless"), NOTES, ids=[says for says, _, _ in NOTES])
def test_a_note(says: str, where: Values, unless: Values) -> None:
    """It is said where it holds, and not where it does not."""
    assert says in render(where).notes
    assert says not in render(merged(where, unless)).notes
