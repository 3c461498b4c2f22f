"""The programs of `helm test`, and the probe for mutual TLS, against a real service."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.end_to_end.gateway import Gateway, gateway
from tests.helm.chart import FOLDER, FULLNAME, NAMESPACE, container, render
from tests.tiny_models import write_version

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A service over one tiny classifier."""
    folder = tmp_path_factory.mktemp("service")
    write_version(folder / "models", "colours")
    with gateway(folder / "models", folder / "log") as running:
        yield running


def run(script: str, target: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of the chart as its pod does."""
    command = [sys.executable, str(FOLDER / "files" / script), target]
    environment = {**os.environ, **variables, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)


def test_a_small_picture_is_classified(service: Gateway) -> None:
    """The test passes, and says which model answered."""
    done = run("test_classify.py", service.url)
    assert (done.returncode, done.stdout) == (0, "classify by colours:1\n"), done.stderr


def test_grpc_is_serving(service: Gateway) -> None:
    """The test passes."""
    done = run("test_grpc_health.py", service.grpc_address)
    assert (done.returncode, done.stdout) == (0, "SERVING\n"), done.stderr


def test_the_metrics_can_be_read(service: Gateway) -> None:
    """The test passes, and counts the versions that are ready."""
    done = run("test_metrics.py", service.url)
    assert (done.returncode, done.stdout) == (0, "1 versions are ready\n"), done.stderr


def test_a_task_without_a_model_fails(service: Gateway) -> None:
    """A test that cannot be answered does not pass."""
    done = run("test_classify.py", service.url, TASK="detect")
    assert done.returncode == 1
    assert "HTTP Error 404" in done.stderr


@pytest.mark.parametrize("script", ["test_classify.py", "test_metrics.py"])
def test_a_service_that_is_away_fails(script: str) -> None:
    """Nothing passes where nobody answers."""
    assert run(script, NOWHERE).returncode == 1


def test_the_pods_ask_the_services() -> None:
    """Each pod runs its program with the address of a Service and a port that it has."""
    commands = {name: container(pod["spec"])["command"] for name, pod in render().all("Pod").items()}
    assert commands == {
        f"{FULLNAME}-test-classify": ["python", "/scripts/test_classify.py", f"http://{FULLNAME}.{NAMESPACE}.svc:80"],
        f"{FULLNAME}-test-grpc-health": ["python", "/scripts/test_grpc_health.py", f"{FULLNAME}.{NAMESPACE}.svc:8001"],
        f"{FULLNAME}-test-metrics": [
            "python",
            "/scripts/test_metrics.py",
            f"http://{FULLNAME}-admin.{NAMESPACE}.svc:8002",
        ],
    }


def test_the_pods_are_hooks() -> None:
    """They run by `helm test` alone, after their scripts are there, and the last ones are removed."""
    rendered = render()
    for pod in rendered.all("Pod").values():
        assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
        assert "hook-succeeded" in pod["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
    scripts = rendered.one("ConfigMap", f"{FULLNAME}-test-scripts")
    assert scripts["metadata"]["annotations"]["helm.sh/hook-weight"] == "-1"


@pytest.mark.parametrize("name", ["asking.py", "test_classify.py", "test_grpc_health.py", "test_metrics.py"])
def test_the_scripts_are_those_of_the_chart(name: str) -> None:
    """What the pods run is the file that is tested here."""
    data = render().one("ConfigMap", f"{FULLNAME}-test-scripts")["data"]
    assert data[name].strip() == (FOLDER / "files" / name).read_text().strip()
