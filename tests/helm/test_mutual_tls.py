"""A service with the chart's variables for mutual TLS and keys: probes and `helm test` get through, others do not."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helm.certificates import Authority
from tests.helm.chart import FOLDER, container, merged, nested, render
from tests.helm.started import Started, started
from tests.helm.switches import SWITCHES
from tests.tiny_models import write_version

VALUES = merged(SWITCHES["tls"]["mutual"], SWITCHES["keys"]["file"])


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the pods would mount: server-tls, client-tls, keys, key."""
    folder = tmp_path_factory.mktemp("secrets")
    authority = Authority()
    authority.secret(folder / "server-tls", "vitrail")
    authority.secret(folder / "client-tls", "probe")
    made = [sys.executable, "-m", "service", "keys", "new", "--id", "tests", "--scopes", "infer"]
    done = subprocess.run(made, capture_output=True, text=True, timeout=60, check=True)
    (folder / "keys").mkdir()
    (folder / "keys" / "keys.yaml").write_text(done.stdout)
    (folder / "key").write_text(done.stderr.splitlines()[-1] + "\n")
    return folder


@pytest.fixture(scope="module")
def service(secrets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A service over one tiny classifier, as the chart would start it, that is ready."""
    folder = tmp_path_factory.mktemp("service")
    write_version(folder / "models", "colours")
    folders = {
        "/models": folder / "models",
        "/videos": folder / "videos",
        "/etc/vitrail/tls": secrets / "server-tls",
        "/etc/vitrail/keys": secrets / "keys",
    }
    with started(render(VALUES).settings, folders, folder / "log") as running:
        end = time.monotonic() + 60
        while probe(running, secrets, "/readyz").returncode != 0:
            assert time.monotonic() < end, (folder / "log").read_text()
        yield running


def run(script: str, target: str, **variables: object) -> "subprocess.CompletedProcess[str]":
    """Run a program of the chart as its pod does."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **{name: str(one) for name, one in variables.items()}}
    command = [sys.executable, str(FOLDER / "files" / script), target]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def probe(service: Started, secrets: Path, path: str) -> "subprocess.CompletedProcess[str]":
    """Ask as the pod's own probe does."""
    return run("ask_health.py", path, CLIENT_TLS=secrets / "client-tls", VITRAIL_PORT=service.port)


def tried(service: Started, secrets: Path, script: str, target: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of `helm test` with the files that its pod mounts."""
    pods = render(VALUES).all("Pod").values()
    variables = {one["name"]: one["value"] for pod in pods for one in container(pod["spec"])["env"]}
    places = {"/tls": secrets / "server-tls", "/client-tls": secrets / "client-tls", "/key": secrets}
    for name, value in variables.items():
        folder, _, file = value.rpartition("/")
        variables[name] = places[folder] / file if folder else value
    return run(script, target, **variables)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_get_through(service: Started, secrets: Path, path: str) -> None:
    """The script brings a certificate, and ends with 0."""
    assert probe(service, secrets, path).returncode == 0


def test_a_probe_fails_where_the_service_does(service: Started, secrets: Path) -> None:
    """Another answer than 200, or none, is a failure."""
    assert probe(service, secrets, "/nothing").returncode == 1
    assert run("ask_health.py", "/healthz", CLIENT_TLS=secrets / "client-tls", VITRAIL_PORT=9).returncode == 1


def test_the_release_can_be_tested(service: Started, secrets: Path) -> None:
    """All three programs of `helm test` pass: over TLS with a certificate of their own and a key."""
    asked = {
        "test_classify.py": (service.url, "classify by colours:1\n"),
        "test_grpc_health.py": (service.grpc_address, "SERVING\n"),
        "test_metrics.py": (service.admin_url, "1 versions are ready\n"),
    }
    for script, (target, says) in asked.items():
        done = tried(service, secrets, script, target)
        assert (done.stdout, done.returncode) == (says, 0), done.stderr


def test_without_a_certificate_nobody_gets_through(service: Started, secrets: Path) -> None:
    """The connection ends without an answer, at REST and at the admin port."""
    for script, url in (("test_classify.py", service.url), ("test_metrics.py", service.admin_url)):
        done = run(script, url, CA_FILE=secrets / "server-tls" / "ca.crt", KEY_FILE=secrets / "key")
        assert done.returncode == 1
        assert "HTTP Error" not in done.stderr


def test_without_a_key_nobody_is_answered(service: Started, secrets: Path) -> None:
    """A certificate opens the door, and no more."""
    client = secrets / "client-tls"
    done = run(
        "test_classify.py",
        service.url,
        CA_FILE=secrets / "server-tls" / "ca.crt",
        CLIENT_CERTIFICATE=client / "tls.crt",
        CLIENT_KEY=client / "tls.key",
    )
    assert "HTTP Error 401" in done.stderr


def test_metrics_stand_at_the_admin_port_alone(service: Started, secrets: Path) -> None:
    """Where REST is a caller's key does not open them."""
    assert "HTTP Error 403" in tried(service, secrets, "test_metrics.py", service.url).stderr


def test_the_monitor_is_told_how() -> None:
    """Prometheus needs a certificate too; its settings are handed through."""
    certificate = {
        "ca": {"secret": {"name": "prometheus-tls", "key": "ca.crt"}},
        "keySecret": {"name": "p", "key": "k"},
    }
    values = merged(VALUES, {"serviceMonitor": {"enabled": True, "tlsConfig": certificate}})
    (endpoint,) = render(merged(values, nested("security.tls.secret", "x"))).one("ServiceMonitor")["spec"]["endpoints"]
    assert certificate.items() <= endpoint["tlsConfig"].items()
