"""What is wrong with the values is said at once and in words: by the schema, or by the chart's own checks."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from helm_python.chart import lint
from helm_python.errors import HelmError

from tests.helm.chart import FOLDER, chart, nested, render
from tests.helm.settings_schema import expected, written
from tests.helm.switches import SHA256

WRONG = {
    "gateway.replicas": ("three", "want integer"),
    "gateway.replica": (3, "additional properties 'replica' not allowed"),
    "gatway": ({}, "additional properties 'gatway' not allowed"),
    "engine": ("tensorrt", "value must be one of 'embedded', 'triton'"),
    "userId": (0, "minimum: got 0, want 1"),
    "images.gateway.digest": ("sha256:abc", "does not match pattern"),
    "images.gateway.pullPolicy": ("Sometimes", "value must be one of"),
    "repository.source": ("s3", "value must be one of 'claim', 'oci', 'objectStorage'"),
    "repository.archive.sha256": ("abc", "does not match pattern"),
    "repository.claim.size": ("many", "does not match pattern"),
    "settings.max_que": (1, "additional properties 'max_que' not allowed"),
    "settings.max_queue": (0, "minimum: got 0, want 1"),
    "settings.port": (9000, "additional properties 'port' not allowed"),
    "settings.log_level": ("loud", "does not match pattern"),
    "settings.default_models": ({"clasify": "a"}, "additional properties 'clasify' not allowed"),
    "settings.memory_limit": ("4Gi", "does not match pattern"),
    "drain.timeout": (0, "exclusiveMinimum"),
    "service.type": ("ExternalName", "value must be one of"),
    "service.httpPort": (70000, "maximum: got 70,000, want 65,535"),
    "gateway.resources.limits": ({"cpus": 1}, "additional properties 'cpus' not allowed"),
    "gateway.tolerations": ([{"operator": "Is"}], "value must be one of"),
    "gpu.count": (0, "minimum: got 0, want 1"),
    "build.jobs": ([], "minItems: got 0, want 1"),
    "triton.args": (["model-repository=/x"], "does not match pattern"),
    "triton.address": ("http://triton", "does not match pattern"),
    "networkPolicy.clients": ([{"namespace": "x"}], "additional properties 'namespace' not allowed"),
    "tests.task": ("clasify", "value must be one of"),
}  # fmt: skip
"""By path: a value that is refused, and what the message says besides the path."""


@pytest.mark.parametrize("path", WRONG)
def test_the_schema_refuses(path: str) -> None:
    """A wrong value is refused, with its place and what would be right."""
    value, said = WRONG[path]
    with pytest.raises(HelmError) as refusal:
        render(nested(path, value))
    message = str(refusal.value).replace("''", "'")
    assert said in message
    assert "/".join(path.split(".")[:-1]) in message


ARCHIVE = f"repository: {{source: oci, archive: {{sha256: {SHA256}}}, oci: {{reference: r.example/models:1}}}}"
STORE = f"source: objectStorage, archive: {{sha256: {SHA256}}}"
CLIENTS = "networkPolicy: {clients: [{podSelector: {}}]}"

TOGETHER = {
    "gateway.autoscaling: hpa and keda are both enabled":
        "{prometheusAddress: 'http://p', gateway: {autoscaling: {hpa: {enabled: true}, keda: {enabled: true}}}}",
    "triton.autoscaling: hpa and keda are both enabled":
        "{prometheusAddress: 'http://p', triton: {autoscaling: {hpa: {enabled: true}, keda: {enabled: true}}}}",
    "minReplicas (11) is more than maxReplicas (10)": "gateway: {autoscaling: {minReplicas: 11}}",
    "triton.podLabels: app.kubernetes.io/component is a label of the chart's own":
        "triton: {podLabels: {app.kubernetes.io/component: x}}",
    "set prometheusAddress": "gateway: {autoscaling: {keda: {enabled: true}}}",
    "there is nothing to scale by":
        "gateway: {autoscaling: {hpa: {enabled: true}, imagesInFlight: null, queueWaitSeconds: null}}",
    "set repository.archive.sha256": "repository: {source: oci, oci: {reference: r.example/models:1}}",
    "set repository.oci.reference": f"repository: {{source: oci, archive: {{sha256: {SHA256}}}}}",
    "set repository.objectStorage.path": f"repository: {{{STORE}}}",
    "RCLONE_CONFIG_S_SECRET_ACCESS_KEY is a secret":
        f"repository: {{{STORE}, objectStorage: {{path: 's:b/m.tar', "
        "variables: {RCLONE_CONFIG_S_SECRET_ACCESS_KEY: x}}}",
    "repository.writable needs repository.source: claim": ARCHIVE.replace("source", "writable: true, source"),
    "build.enabled needs repository.source: claim": f"{{build: {{enabled: true}}, {ARCHIVE}}}",
    "needs security.tls.secret": "security: {tls: {verifyClients: true}}",
    "needs security.tls.clientSecret": "security: {tls: {secret: a, verifyClients: true}}",
    "keys and adminKey are both set": "security: {keys: {secret: a}, adminKey: {secret: b}}",
    "jwt_keys, jwt_issuer and jwt_audience go together": "settings: {jwt_keys: 'https://id.example/keys'}",
    "it needs engine: triton": "settings: {fallback: embedded}",
    "set triton.address": "{engine: triton, triton: {enabled: false}}",
    "ingress.http.hosts is empty": f"{{ingress: {{http: {{enabled: true}}}}, {CLIENTS}}}",
    "routes.grpc.parentRefs is empty": f"{{routes: {{grpc: {{enabled: true}}}}, {CLIENTS}}}",
    "name the controller's namespace": "ingress: {http: {enabled: true, hosts: [a.example]}}",
    "service.type is LoadBalancer, but networkPolicy.clients": "service: {type: LoadBalancer}",
    "routes.http leads to the Service":
        f"{{service: {{enabled: false}}, routes: {{http: {{enabled: true, parentRefs: [{{name: a}}]}}}}, {CLIENTS}}}",
    "tests.enabled asks the Service": "service: {enabled: false}",
}  # fmt: skip
"""What the message says, and values that make no sense together."""


@pytest.mark.parametrize("said", TOGETHER)
def test_the_chart_refuses(said: str) -> None:
    """Values that make no sense together are refused with a sentence that says what to do."""
    with pytest.raises(HelmError) as refusal:
        render(yaml.safe_load(TOGETHER[said]))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    "proxy",
    ["nix", "", "10.0.0.256", "10.0.0", "010.0.0.1", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8,192.0.2.1",
     "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8::", "1::2::3", "2001:db8::g", "2001:db8::/129", "ingress.example"],
)  # fmt: skip
def test_the_chart_refuses_a_proxy_that_is_none(proxy: str) -> None:
    """What is neither an address nor a network would be passed over without a word."""
    with pytest.raises(HelmError) as refusal:
        render({"gateway": {"trustedProxies": ["10.0.0.0/8", proxy]}})
    assert "trustedProxies" in str(refusal.value)
    assert not proxy or "is no address and no network; write them like 192.0.2.1" in str(refusal.value)


@pytest.mark.parametrize("proxy", ["*", "0.0.0.0/0", "::/0"])
def test_the_chart_refuses_to_believe_everybody(proxy: str) -> None:
    """With such a proxy each caller could claim any address, and limits by address would hold nobody."""
    with pytest.raises(HelmError) as refusal:
        render({"gateway": {"trustedProxies": [proxy]}})
    assert "would let every caller claim any address" in str(refusal.value)


@pytest.mark.parametrize(
    "proxy",
    ["192.0.2.1", "10.0.0.0/8", "10.1.128.0/17", "128.0.0.0/1", "192.0.2.1/32", "::1", "::", "2001:DB8::/32",
     "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "fd00::1/128"],
)  # fmt: skip
def test_the_chart_takes_a_proxy(proxy: str) -> None:
    """Addresses and networks of IPv4 and IPv6 are handed on as they stand."""
    assert render({"gateway": {"trustedProxies": [proxy]}}).settings["FORWARDED_ALLOW_IPS"] == proxy


def test_every_object_of_the_schema_is_closed() -> None:
    """No level takes a name that nobody knows, but for maps that are handed through."""
    open_ones = [
        path
        for path, part in _objects(json.loads((FOLDER / "values.schema.json").read_text()), "")
        if "additionalProperties" not in part
    ]
    handed_through = {"affinity", "podSelector", "namespaceSelector", "tlsConfig", "authorization", "global"}
    assert {path.rpartition("/")[2] for path in open_ones} == handed_through


def _objects(part: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        if part.get("type") == "object":
            yield path, part
        for name, one in part.items():
            yield from _objects(one, f"{path}/{name}")


def test_the_schema_knows_every_value() -> None:
    """What stands in values.yaml is what the schema has, no more and no less."""
    schema = json.loads((FOLDER / "values.schema.json").read_text())
    assert _undescribed(chart().values, schema, schema["definitions"], "") == []


def _undescribed(values: dict[str, Any], schema: dict[str, Any], definitions: dict[str, Any], path: str) -> list[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    known = schema.get("properties", {})
    if not known or path == "/settings":
        return []
    optional = {"global", "value", "tolerationSeconds"} | ({"operator"} if "operator" in known else set())
    differing = [f"{path}/{name}" for name in (set(values) ^ set(known)) - optional]
    inner = [(name, one) for name, one in values.items() if isinstance(one, dict) and name in known]
    return differing + [
        found for name, one in inner for found in _undescribed(one, known[name], definitions, f"{path}/{name}")
    ]


def test_the_schema_knows_every_setting() -> None:
    """The schema's settings are the service's; `python -m tests.helm.settings_schema` writes them."""
    assert written() == expected()


def test_helm_finds_nothing() -> None:
    """`helm lint --strict` has nothing to say but that the chart has no icon."""
    report = lint(FOLDER, strict=True)
    said = [message["error"] for message in report["messages"] if "icon is recommended" not in message["error"]]
    assert (said, report["errors"]) == ([], [])
