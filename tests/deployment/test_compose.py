"""docker-compose.yml and what it mounts: that all of it fits together, and that none of it is open to others."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.settings import Settings

PROJECT = Path(__file__).parents[2]
SCHEMA_CHECKER = Path(sys.executable).with_name("check-jsonschema")

_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, every variable at its default."""
    text = _VARIABLE.sub(r"\1", (PROJECT / "docker-compose.yml").read_text())
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services by name."""
    services: dict[str, dict[str, Any]] = compose["services"]
    return services


def started(services: dict[str, dict[str, Any]], *profiles: str) -> set[str]:
    """The services that `docker compose` starts with these profiles."""
    return {name for name, service in services.items() if set(service.get("profiles", profiles)) & set(profiles)}


@pytest.mark.skipif(not SCHEMA_CHECKER.is_file(), reason="the checker is not installed: `pip install check-jsonschema`")
def test_it_is_a_compose_file() -> None:
    """The file obeys the schema of the Compose specification."""
    command = [str(SCHEMA_CHECKER), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_profiles(services: dict[str, dict[str, Any]]) -> None:
    """`cpu` starts the gateway alone, `triton` everything; the dashboards can be had with either."""
    assert all("profiles" in service for service in services.values())
    assert started(services, "cpu") == {"gateway-cpu"}
    assert started(services, "triton") == {"gateway", "triton", "prometheus", "grafana"}
    assert started(services, "cpu", "monitoring") == {"gateway-cpu", "prometheus", "grafana"}


def test_who_is_waited_for_is_started(services: dict[str, dict[str, Any]]) -> None:
    """A service waits only for healthy ones that every profile of its own starts too."""
    for service in services.values():
        for awaited, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert set(service["profiles"]) <= set(services[awaited]["profiles"])
            assert "healthcheck" in services[awaited]


def test_nothing_is_open_to_others(services: dict[str, dict[str, Any]]) -> None:
    """Ports are published on the loopback, and Triton's not at all."""
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(ports) == {"gateway", "gateway-cpu", "prometheus", "grafana"}
    assert all(port.startswith("127.0.0.1:") for published in ports.values() for port in published)


def test_every_container_is_confined(services: dict[str, dict[str, Any]]) -> None:
    """Root is read-only, /tmp is in memory and bounded, there are no capabilities and no new privileges."""
    for service in services.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert any(re.fullmatch(r"/tmp:size=\d+m,mode=1777", folder) for folder in service["tmpfs"])  # noqa: S108
        assert not {"privileged", "network_mode", "pid", "cap_add"} & set(service)


def test_every_image_has_a_release(services: dict[str, dict[str, Any]]) -> None:
    """An image is named with a version, so that tomorrow's start is today's."""
    tags = {name: service["image"].rpartition(":")[2] for name, service in services.items()}
    assert all(re.match(r"v?\d+\.\d+", tag) for tag in tags.values()), tags


def test_volumes_and_networks_are_declared(compose: dict[str, Any], services: dict[str, dict[str, Any]]) -> None:
    """What is mounted is declared or lies in the project; what is declared is used."""
    sources = {item.split(":")[0] for service in services.values() for item in service["volumes"] if type(item) is str}
    folders = {source for source in sources if source.startswith("./")}
    assert all((PROJECT / folder).exists() for folder in folders)
    assert sources - folders == set(compose["volumes"])
    assert {name for service in services.values() for name in service["networks"]} == set(compose["networks"])


def test_both_engines_see_one_repository(services: dict[str, dict[str, Any]]) -> None:
    """The gateways and Triton mount the same folder at the same place, read-only; an absent one is an error."""
    models, *others = [services[name]["volumes"][0] for name in ("gateway", "gateway-cpu", "triton")]
    assert others == [models, models]
    assert (models["source"], models["target"], models["read_only"]) == ("./model_repository", "/models", True)
    assert models["bind"] == {"create_host_path": False}


@pytest.mark.parametrize("name", ["gateway", "gateway-cpu"])
def test_the_gateway_understands_its_variables(
    name: str, services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each variable is a setting, and its text one that the settings take."""
    # Those without a text are as they are where Compose is called.
    variables: dict[str, str | None] = services[name]["environment"]
    assert {variable.removeprefix("VITRAIL_").lower() for variable in variables} <= set(Settings.model_fields)
    for variable, value in variables.items():
        if value is not None:
            monkeypatch.setenv(variable, value)
    assert Settings().model_dump()["engine"] == ("triton" if name == "gateway" else "embedded")


@pytest.mark.parametrize("name", ["gateway", "gateway-cpu"])
def test_traces_can_be_asked_for(name: str, services: dict[str, dict[str, Any]]) -> None:
    """Grafana has links to traces, so the gateway must be able to make some without a change of this file."""
    assert {"VITRAIL_OTLP_ENDPOINT", "VITRAIL_TRACE_SHARE"} <= services[name]["environment"].keys()


def test_the_drain_is_waited_for(services: dict[str, dict[str, Any]]) -> None:
    """The containers are given longer to end than the service takes at most by itself."""
    patience = int(services["gateway"]["stop_grace_period"].removesuffix("s"))
    assert patience > Settings().drain_timeout_s + Settings().drain_delay_s


def test_triton_loads_what_it_is_told_to(services: dict[str, dict[str, Any]]) -> None:
    """The gateway decides what is loaded, and one bad model does not end the server."""
    triton = services["triton"]
    assert {"--model-control-mode=explicit", "--exit-on-error=false"} <= set(triton["command"])
    assert "--model-repository=/models" in triton["command"]
    (device,) = triton["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_triton_is_reached_by_the_gateway_and_prometheus_only(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    """Triton knows no keys, so its network has no way out, and holds nobody else."""
    assert compose["networks"]["engines"] == {"internal": True}
    assert services["triton"]["networks"] == ["engines"]
    assert {name for name, service in services.items() if "engines" in service["networks"]} == {
        "triton",
        "gateway",
        "prometheus",
    }


def test_no_password_is_written_down(services: dict[str, dict[str, Any]]) -> None:
    """Grafana shows to all on this machine and lets nobody in; there is no password to know."""
    variables = {name: value for service in services.values() for name, value in service.get("environment", {}).items()}
    assert not [name for name in variables if re.search("PASSWORD|SECRET|TOKEN|KEY", name)]
    assert variables["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert variables["GF_AUTH_DISABLE_LOGIN_FORM"] == variables["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_prometheus_asks_services_that_there_are(services: dict[str, dict[str, Any]]) -> None:
    """Each target is a service on a network of Prometheus; the gateway has that name in both profiles."""
    jobs = yaml.safe_load((PROJECT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    assert jobs[0]["static_configs"] == [{"targets": ["gateway:8000"]}]
    assert jobs[1]["dns_sd_configs"][0]["names"] == ["triton"]
    assert services["gateway-cpu"]["networks"] == {"front": {"aliases": ["gateway"]}}
    assert set(services["prometheus"]["networks"]) == {"front", "engines"}


def test_prometheus_finds_its_rules(services: dict[str, dict[str, Any]]) -> None:
    """The rules are mounted beside the configuration, where it looks for them."""
    (pattern,) = yaml.safe_load((PROJECT / "deploy/prometheus.yml").read_text())["rule_files"]
    folder = Path(pattern).parent
    assert f"./helm/{folder}:/etc/prometheus/{folder}:ro" in services["prometheus"]["volumes"]
    assert list((PROJECT / "helm").glob(pattern))


def test_grafana_finds_its_source(services: dict[str, dict[str, Any]]) -> None:
    """The data source is the service Prometheus, and the dashboards lie where the provider looks."""
    provisioning = PROJECT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards/vitrail.yml").read_text())["providers"]
    assert (source["url"], source["uid"]) == ("http://prometheus:9090", "prometheus")
    assert f"./helm/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
