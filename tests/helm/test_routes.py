"""Ways in from outside: Ingress, and routes of the Gateway API."""

import pytest

from tests.helm.chart import FULLNAME, merged, nested, render
from tests.helm.switches import CLIENTS


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_an_ingress(protocol: str) -> None:
    """Each host leads to the Service's port of that protocol, with annotations and certificate as named."""
    values = {
        "enabled": True,
        "className": "nginx",
        "hosts": ["a.example"],
        "annotations": {"a/b": "c"},
        "tlsSecret": "web",
    }
    ingress = render(merged(nested(f"ingress.{protocol}", values), CLIENTS)).one("Ingress", f"{FULLNAME}-{protocol}")
    assert ingress["metadata"]["annotations"] == {"a/b": "c"}
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [{"secretName": "web", "hosts": ["a.example"]}]
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "a.example"
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": FULLNAME, "port": {"name": protocol}}}


@pytest.mark.parametrize(("protocol", "kind", "port"), [("http", "HTTPRoute", 80), ("grpc", "GRPCRoute", 8001)])
def test_a_route(protocol: str, kind: str, port: int) -> None:
    """It has what the Gateway API requires: a parent, hosts, and the Service by name and port."""
    values = {"enabled": True, "parentRefs": [{"name": "public", "namespace": "gateways"}], "hostnames": ["a.example"]}
    route = render(merged(nested(f"routes.{protocol}", values), CLIENTS)).one(kind)
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["spec"] == {
        "parentRefs": [{"name": "public", "namespace": "gateways"}],
        "hostnames": ["a.example"],
        "rules": [{"backendRefs": [{"name": FULLNAME, "port": port, "weight": 100}]}],
    }


def test_a_route_shares_out() -> None:
    """A second release gets a share of the requests."""
    other = {"name": "next", "port": 80, "weight": 10}
    values = {"enabled": True, "parentRefs": [{"name": "public"}], "weight": 90, "otherBackends": [other]}
    (rule,) = render(merged(nested("routes.http", values), CLIENTS)).one("HTTPRoute")["spec"]["rules"]
    assert [backend["weight"] for backend in rule["backendRefs"]] == [90, 10]


def test_nothing_leads_to_the_admin_port() -> None:
    """The Service that is open to others has no such port, nor has any way in."""
    rendered = render()
    assert "admin" not in {port["targetPort"] for port in rendered.one("Service")["spec"]["ports"]}
    assert rendered.one("Service", f"{FULLNAME}-admin")["spec"]["type"] == "ClusterIP"
