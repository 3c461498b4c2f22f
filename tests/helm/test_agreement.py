"""The chart agrees with the service and its image: settings, ports, folders, users, versions."""

import re
import tomllib
from typing import Any

import pytest
import yaml

from service.settings import Settings
from tests.helm.chart import FOLDER, chart, container, merged, nested, render
from tests.helm.kubernetes_schemas import OLDEST, problems
from tests.helm.switches import pairwise, values

PROJECT = FOLDER.parent
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
TRITON = {"engine": "triton", "build": {"enabled": True}}


def test_the_version_is_the_packages() -> None:
    """The chart's application is the package beside it, and its images are released with it."""
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert chart().metadata["appVersion"] == version
    assert container(render().gateway)["image"] == f"vitrail/gateway:{version}"


def test_the_oldest_kubernetes_is_the_one_that_is_tested() -> None:
    """The constraint names the release whose schemas the objects are validated against."""
    assert chart().metadata["kubeVersion"] == f">={OLDEST}-0"


def test_the_ports_are_the_images() -> None:
    """REST and gRPC listen where the image says, and the port that the image's own health check asks is the same."""
    (exposed,) = re.findall(r"^EXPOSE (.+)$", DOCKERFILE, re.MULTILINE)
    ports = {port["name"]: port["containerPort"] for port in container(render().gateway)["ports"]}
    assert [ports["http"], ports["grpc"]] == [int(port) for port in exposed.split()]


def test_the_folders_are_the_images() -> None:
    """Models and videos are mounted where the image has its volumes; /tmp is home."""
    volumes = set(re.findall(r'"(/\w+)"', " ".join(re.findall(r"^VOLUME (.+)$", DOCKERFILE, re.MULTILINE))))
    mounted = {mount["mountPath"] for mount in container(render().gateway)["volumeMounts"]}
    assert mounted == volumes | {"/tmp"}  # noqa: S108
    assert "ENV HOME=/tmp" in DOCKERFILE


def test_the_user_is_the_images() -> None:
    """The numbers are those that own the image's folders."""
    security = render().gateway["securityContext"]
    assert f"USER {security['runAsUser']}:{security['runAsGroup']}" in DOCKERFILE
    assert security["fsGroup"] == security["runAsGroup"]


def test_the_commands_are_the_images() -> None:
    """The pods run what the images start: no container names a program, but for the chart's own scripts."""
    rendered = render(TRITON)
    (job,) = rendered.all("Job").values()
    assert 'ENTRYPOINT ["vitrail-serve"]' in DOCKERFILE
    assert 'ENTRYPOINT ["vitrail-build"]' in DOCKERFILE
    assert not {"command", "args"} & set(container(rendered.gateway))
    assert "command" not in container(job["spec"]["template"]["spec"])


def test_triton_is_started_as_in_compose() -> None:
    """By the same image with the same flags, but for what is a matter of probes and patience."""
    compose = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["triton"]
    triton = container(render(TRITON).triton)
    assert set(triton["args"]) - set(compose["command"]) == {"--strict-readiness=false"}
    assert triton["image"] == re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", compose["image"])


@pytest.mark.parametrize("number", range(6))
def test_the_service_starts_with_what_is_rendered(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All variables together are settings that the service accepts; the ports are those of the pod."""
    choice = [one for one in pairwise() if one["gateway"] == "on"][number]
    rendered = render(values(choice))
    for name, value in rendered.settings.items():
        monkeypatch.setenv(name, value)
    read = Settings()
    ports = {port["name"]: port["containerPort"] for port in container(rendered.gateway, "gateway")["ports"]}
    assert (read.port, read.grpc_port_used, read.admin_port) == (ports["http"], ports["grpc"], ports.get("admin"))
    assert (str(read.repository), str(read.videos), read.engine) == (
        "/models",
        "/videos",
        rendered.settings["VITRAIL_ENGINE"],
    )


def test_a_service_of_the_same_name_changes_no_setting() -> None:
    """Kubernetes would set VITRAIL_PORT=tcp://… for a Service called vitrail; the pods do not take such links."""
    assert all(spec["enableServiceLinks"] is False for _, spec in render(TRITON, name="vitrail").pod_specs())


def test_the_schemas_are_strict() -> None:
    """The validation that all renderings pass does find a field that Kubernetes does not know, and a wrong type."""
    wrong: list[dict[str, Any]] = [nested("spec.replica", 1), nested("spec.replicas", "1")]
    for part in wrong:
        assert len(problems(merged(render().one("Deployment"), part), OLDEST)) == 1


@pytest.mark.parametrize("name", ["vitrail", "my-vitrail-7", "x", "a" * 53])
def test_names_fit(name: str) -> None:
    """A release of any name that Helm takes gives names that Kubernetes takes; one that says vitrail says it once."""
    rendered = render(
        merged(TRITON, nested("dashboards.enabled", True), nested("prometheusRule.enabled", True)), name=name
    )
    names = [name for _, name in rendered.names]
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", one) for one in names)
    assert ("Deployment", name if "vitrail" in name else f"{name}-vitrail"[:40]) in rendered.names
