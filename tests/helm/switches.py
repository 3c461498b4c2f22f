"""Every switch of the chart, what it may be set to, and which settings go together."""

import random
from collections.abc import Iterator, Mapping
from itertools import combinations

from tests.helm.chart import Values, merged

CLIENTS = {
    "networkPolicy": {"clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "in"}}}]}
}
SHA256 = "0123456789abcdef" * 4
PROMETHEUS = "http://prometheus.monitoring.svc:9090"


def _way_in(kind: str, protocol: str, **more: object) -> dict[str, Values]:
    on = {kind: {protocol: {"enabled": True, **more}}}
    return {"off": {}, "on": merged(on, CLIENTS)}


def _autoscaling(component: str) -> dict[str, Values]:
    keda = {component: {"autoscaling": {"keda": {"enabled": True}}}, "prometheusAddress": PROMETHEUS}
    return {"none": {}, "hpa": {component: {"autoscaling": {"hpa": {"enabled": True}}}}, "keda": keda}


def _on_off(path: str) -> dict[str, Values]:
    """A switch that is on by default."""
    *outer, last = path.split(".")
    off: dict[str, object] = {last: False}
    for name in reversed(outer):
        off = {name: off}
    return {"on": {}, "off": off}


def _off_on(path: str) -> dict[str, Values]:
    """A switch that is off by default."""
    *outer, last = path.split(".")
    on: dict[str, object] = {last: True}
    for name in reversed(outer):
        on = {name: on}
    return {"off": {}, "on": on}


_ARCHIVE = {"archive": {"sha256": SHA256}}
_OCI = {"source": "oci", "oci": {"reference": "registry.example.com/models:1", "registrySecret": "pull"}, **_ARCHIVE}
_STORE = {
    "source": "objectStorage",
    "objectStorage": {
        "path": "store:bucket/models.tar.gz",
        "variables": {"RCLONE_CONFIG_STORE_TYPE": "s3"},
        "secret": "store-keys",
    },
    **_ARCHIVE,
}
_MUTUAL = {"secret": "server-tls", "verifyClients": True, "clientSecret": "probe-tls"}

SWITCHES: Mapping[str, Mapping[str, Values]] = {
    "engine": {
        "embedded": {},
        "triton": {"engine": "triton"},
        "elsewhere": {"engine": "triton", "triton": {"enabled": False, "address": "dns:///triton.gpu.svc:8001"}},
    },
    "gateway": _on_off("gateway.enabled"),
    "repository": {
        "claim": {},
        "existing": {"repository": {"claim": {"existing": "models"}}},
        "oci": {"repository": _OCI},
        "store": {"repository": _STORE},
    },
    "writable": _off_on("repository.writable"),
    "keep": _on_off("repository.claim.keep"),
    "build": _off_on("build.enabled"),
    "build cache": {"off": {}, "on": {"build": {"cacheClaim": "build-cache"}}},
    "videos": {"pod": {}, "persistent": {"videos": {"persistent": True, "storageClass": "fast"}}},
    "account": _on_off("serviceAccount.create"),
    "service": _on_off("service.enabled"),
    "headless": _on_off("service.headless.enabled"),
    "admin port": _on_off("security.adminPort.enabled"),
    "keys": {
        "none": {},
        "file": {"security": {"keys": {"secret": "keys"}}, "tests": {"keySecret": "test-key"}},
        "admin": {"security": {"adminKey": {"secret": "admin"}}},
    },
    "tls": {
        "off": {},
        "tls": {"security": {"tls": {"secret": "server-tls"}}},
        "mutual": {"security": {"tls": _MUTUAL}},
    },
    "gateway scaling": _autoscaling("gateway"),
    "triton scaling": _autoscaling("triton"),
    "gateway budget": _on_off("gateway.disruptionBudget.enabled"),
    "triton budget": _on_off("triton.disruptionBudget.enabled"),
    "gateway spread": _on_off("gateway.topologySpread.enabled"),
    "triton spread": _on_off("triton.topologySpread.enabled"),
    "network": _on_off("networkPolicy.enabled"),
    "build egress": {
        "off": {},
        "on": {"networkPolicy": {"buildEgress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}},
    },
    "ingress http": _way_in("ingress", "http", hosts=["vitrail.example.com"], tlsSecret="web"),
    "ingress grpc": _way_in("ingress", "grpc", hosts=["grpc.example.com"], className="nginx"),
    "route http": _way_in("routes", "http", parentRefs=[{"name": "public"}], hostnames=["vitrail.example.com"]),
    "route grpc": _way_in("routes", "grpc", parentRefs=[{"name": "public", "namespace": "gateways"}]),
    "monitor": _off_on("serviceMonitor.enabled"),
    "rules": _off_on("prometheusRule.enabled"),
    "dashboards": _off_on("dashboards.enabled"),
    "adapter": _off_on("metricsAdapter.enabled"),
    "tests": _on_off("tests.enabled"),
    "lost node": {"30": {}, "cluster": {"lostNodeSeconds": None}},
    "user": {"10001": {}, "cluster": {"userId": None}},
}
"""By name; each choice by name, with the values that make it. The first one is the default."""

Choice = dict[str, str]


def defaults() -> Choice:
    """Every switch as it is by default."""
    return {name: next(iter(choices)) for name, choices in SWITCHES.items()}


def values(choice: Mapping[str, str]) -> dict[str, object]:
    """The values of a choice."""
    return merged(*(SWITCHES[name][chosen] for name, chosen in choice.items()))


def feasible(choice: Mapping[str, str]) -> bool:
    """Whether the chart takes the choice; templates/checks.yaml says of the others why not."""
    fetches = choice.get("repository") in {"oci", "store"}
    if fetches and (choice.get("writable") == "on" or choice.get("build") == "on"):
        return False
    ways_in = ("ingress http", "ingress grpc", "route http", "route grpc")
    tested = choice.get("tests", "on") == "on" and choice.get("gateway", "on") == "on"
    return choice.get("service") != "off" or not (tested or any(choice.get(way) == "on" for way in ways_in))


def single() -> Iterator[Choice]:
    """The defaults, and the defaults with one switch set otherwise (and what that one needs)."""
    yield defaults()
    for name, choices in SWITCHES.items():
        for chosen in list(choices)[1:]:
            one = defaults() | {name: chosen}
            yield one if feasible(one) else one | {"tests": "off"}


def pairwise() -> list[Choice]:
    """Choices of which, for any two switches, at least one has each feasible pair of their settings."""
    lots = random.Random(8)  # noqa: S311 - the same in every process
    ahead = {pair for pair in _pairs() if _completed(dict(pair), lots) is not None}
    found = []
    while ahead:
        candidates = [one for pair in sorted(ahead)[:12] if (one := _completed(dict(pair), lots)) is not None]
        best = max(candidates, key=lambda one: len(_pairs_of(one) & ahead))
        ahead -= _pairs_of(best)
        found.append(best)
    return found


Pair = tuple[tuple[str, str], tuple[str, str]]


def _pairs() -> Iterator[Pair]:
    for first, second in combinations(SWITCHES, 2):
        for one in SWITCHES[first]:
            for other in SWITCHES[second]:
                yield (first, one), (second, other)


def _pairs_of(choice: Choice) -> set[Pair]:
    return set(combinations([(name, choice[name]) for name in SWITCHES], 2))


def _completed(fixed: Mapping[str, str], lots: random.Random) -> Choice | None:
    """A feasible choice with these settings and any others; None if none is found in a hundred trials."""
    for _ in range(100):
        choice = {name: lots.choice(list(choices)) for name, choices in SWITCHES.items()} | dict(fixed)
        if feasible(choice):
            return choice
    return None
