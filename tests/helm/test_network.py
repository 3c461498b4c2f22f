"""Who may talk to whom."""

from typing import Any

import pytest

from tests.helm.chart import FULLNAME, Object, Rendered, merged, nested, render
from tests.helm.switches import CLIENTS, SWITCHES

TRITON = {"engine": "triton"}
ELSEWHERE = SWITCHES["engine"]["elsewhere"]
GPUS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gpu"}}}


def policy(rendered: Rendered, part: str) -> Object:
    """The policy of a component."""
    spec: Object = rendered.one("NetworkPolicy", f"{FULLNAME}-{part}")["spec"]
    return spec


def component(name: str) -> dict[str, Any]:
    """A peer: the pods of a component of this release."""
    labels = {"name": "vitrail", "instance": "demo", "component": name}
    return {"podSelector": {"matchLabels": {f"app.kubernetes.io/{key}": value for key, value in labels.items()}}}


def ports(rule: Object) -> list[object]:
    """The ports of a rule."""
    return [port["port"] for port in rule["ports"]]


def test_all_is_denied_that_is_not_allowed() -> None:
    """One policy selects every pod of the release, and allows nothing."""
    spec = policy(render(), "deny")
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & set(spec)
    assert set(spec["podSelector"]["matchLabels"]) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}


def test_clients_reach_rest_and_grpc() -> None:
    """By default those of this namespace; else those that are named, and the tests."""
    (callers, _) = policy(render(), "gateway")["ingress"]
    assert callers["from"] == [{"podSelector": {}}, component("test")]
    assert ports(callers) == [8000, 8001]
    (callers, _) = policy(render(CLIENTS), "gateway")["ingress"]
    assert callers["from"] == [*CLIENTS["networkPolicy"]["clients"], component("test")]


def test_the_admin_port_is_for_monitoring_and_administrators() -> None:
    """Nobody else gets there, not even clients."""
    operators = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "operations"}}}
    (_, admins) = policy(render(nested("networkPolicy.administrators", [operators])), "gateway")["ingress"]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert admins["from"] == [monitoring, operators, component("test")]
    assert ports(admins) == [8002]


def test_metrics_without_an_admin_port() -> None:
    """Then Prometheus is let in where REST is."""
    (_, monitoring) = policy(render(nested("security.adminPort.enabled", False)), "gateway")["ingress"]
    assert ports(monitoring) == [8000]


def test_the_gateway_reaches_names_and_triton_only() -> None:
    """Cameras, webhooks, traces and the like are allowed by the operator."""
    more = {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"port": 554, "protocol": "TCP"}]}
    names, triton, cameras = policy(render(merged(TRITON, nested("networkPolicy.gatewayEgress", [more]))), "gateway")[
        "egress"
    ]
    assert ports(names) == [53, 53]
    assert (triton["to"], ports(triton)) == ([component("triton")], [8001])
    assert cameras == more


def test_the_gateway_reaches_a_triton_elsewhere() -> None:
    """At the port of its address: anywhere, for a policy knows no names, or at the peers that the values name."""
    way = {"ports": [{"port": 8001, "protocol": "TCP"}]}
    _, triton = policy(render(ELSEWHERE), "gateway")["egress"]
    assert triton == way
    _, triton = policy(render(merged(ELSEWHERE, nested("networkPolicy.triton", [GPUS]))), "gateway")["egress"]
    assert triton == way | {"to": [GPUS]}


def test_every_port_of_the_address_is_reached() -> None:
    """Each once, of all the addresses that are named."""
    several = merged(ELSEWHERE, nested("triton.address", "10.0.0.1:8001,10.0.0.2:8001,t.example.com:9001"))
    _, triton = policy(render(several), "gateway")["egress"]
    assert ports(triton) == [8001, 9001]


def test_an_address_beside_the_charts_own_triton() -> None:
    """Where the chart runs a Triton and the gateway is to ask another too, it reaches both."""
    address = nested("triton.address", f"dns:///{FULLNAME}-triton.vision.svc:8001,10.0.0.1:9001")
    _, own, others = policy(render(merged(TRITON, address)), "gateway")["egress"]
    assert (own["to"], ports(others)) == ([component("triton")], [8001, 9001])


@pytest.mark.parametrize("values", [{}, TRITON], ids=["embedded", "own"])
def test_no_other_way_is_opened_for_triton(values: dict[str, Any]) -> None:
    """Without an address of a Triton elsewhere, nothing goes out to anywhere, whatever peers are named for one."""
    named = merged(values, nested("networkPolicy.triton", [GPUS]))
    assert policy(render(named), "gateway")["egress"] == policy(render(values), "gateway")["egress"]
    assert all("to" in rule for rule in policy(render(values), "gateway")["egress"])


def test_triton_is_reached_by_gateways_only() -> None:
    """And by monitoring for its metrics; it reaches nothing."""
    spec = policy(render(TRITON), "triton")
    gateways, monitoring = spec["ingress"]
    assert (gateways["from"], ports(gateways)) == ([component("gateway")], [8001])
    assert ports(monitoring) == [8002]
    assert "egress" not in spec


@pytest.mark.parametrize("part", ["gateway", "triton"])
def test_who_fetches_an_archive_may_reach_it(part: str) -> None:
    """With names, and the ports that the values allow."""
    spec = policy(render(merged(TRITON, SWITCHES["repository"]["oci"])), part)
    assert {"ports": [{"port": 443, "protocol": "TCP"}]} in spec["egress"]


def test_a_build_reaches_nothing() -> None:
    """Unless the values allow it."""
    build = nested("build.enabled", True)
    assert not render(build).has("NetworkPolicy", f"{FULLNAME}-build")
    allowed = merged(build, {"networkPolicy": {"buildEgress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}})
    assert [ports(rule) for rule in policy(render(allowed), "build")["egress"]] == [[53, 53], [443]]


def test_tests_reach_the_gateway() -> None:
    """At all three ports, and names."""
    _, gateway = policy(render(), "test")["egress"]
    assert (gateway["to"], ports(gateway)) == ([component("gateway")], [8000, 8001, 8002])


def test_it_can_be_left_to_others() -> None:
    """Without networkPolicy there is none, and the notes say so."""
    rendered = render(nested("networkPolicy.enabled", False))
    assert not rendered.all("NetworkPolicy")
    assert "networkPolicy is off" in rendered.notes
