"""What Prometheus and Grafana find."""

import gzip
import json
from pathlib import Path

import pytest
import yaml

from tests.helm.chart import FOLDER, FULLNAME, NAMESPACE, Rendered, merged, nested, render

TRITON = {"engine": "triton"}
MONITOR = {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}


def scraped(rendered: Rendered, monitor: str) -> list[str]:
    """The Services that a monitor finds."""
    spec = rendered.one("ServiceMonitor", monitor)["spec"]
    assert spec["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    wanted = spec["selector"]["matchLabels"].items()
    return [name for name, one in rendered.all("Service").items() if wanted <= one["metadata"]["labels"].items()]


@pytest.mark.parametrize(
    ("admin_port", "service", "port"), [(True, f"{FULLNAME}-admin", "admin"), (False, FULLNAME, "http")]
)
def test_each_gateway_is_scraped_once(*, admin_port: bool, service: str, port: str) -> None:
    """By the one Service that has the metrics, at its port."""
    rendered = render(merged(MONITOR, nested("security.adminPort.enabled", admin_port)))
    assert scraped(rendered, FULLNAME) == [service]
    (endpoint,) = rendered.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint == {"port": port, "path": "/metrics", "interval": "15s", "scrapeTimeout": "10s"}
    assert port in {one["name"] for one in rendered.one("Service", service)["spec"]["ports"]}


def test_triton_is_scraped() -> None:
    """At its own port."""
    rendered = render(merged(MONITOR, TRITON))
    assert scraped(rendered, f"{FULLNAME}-triton") == [f"{FULLNAME}-triton"]
    assert rendered.one("ServiceMonitor", f"{FULLNAME}-triton")["metadata"]["labels"]["release"] == "prometheus"


def test_with_tls_and_a_key() -> None:
    """The endpoint speaks TLS, and brings the key of a Secret."""
    key = {"type": "Bearer", "credentials": {"name": "scraper", "key": "key"}}
    values = merged(MONITOR, nested("security.tls.secret", "tls"), nested("serviceMonitor.authorization", key))
    (endpoint,) = render(values).one("ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"insecureSkipVerify": True})
    assert endpoint["authorization"] == key


@pytest.mark.parametrize("path", sorted((FOLDER / "alerts").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_rules_are_those_of_the_folder(path: Path) -> None:
    """Each file of helm/alerts is a PrometheusRule, word for word."""
    rendered = render({"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}})
    rule = rendered.one("PrometheusRule", f"{FULLNAME}-{path.stem.replace('_', '-')}")
    assert rule["spec"] == yaml.safe_load(path.read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize("path", sorted((FOLDER / "dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_the_dashboards_are_those_of_the_folder(path: Path) -> None:
    """Each file of helm/dashboards is a ConfigMap that Grafana's sidecar finds by its label."""
    config = render(nested("dashboards.enabled", True)).one("ConfigMap", f"{FULLNAME}-dashboard-{path.stem}")
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(config["data"][f"vitrail-{path.name}"]) == json.loads(path.read_text())


def test_a_release_fits_into_its_secret() -> None:
    """Helm keeps a release, chart and manifests, in a Secret of at most 1 MiB, compressed."""
    everything = {"dashboards": {"enabled": True}, "prometheusRule": {"enabled": True}}
    chart = b"".join(path.read_bytes() for path in FOLDER.rglob("*") if path.is_file())
    kept = gzip.compress(chart + yaml.safe_dump_all(render(everything).objects).encode())
    assert len(kept) * 4 / 3 < 500_000
