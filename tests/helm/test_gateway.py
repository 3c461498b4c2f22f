"""The gateway's pods, their Services and their end."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python.chart import Chart

from service.settings import Settings
from tests.helm.chart import FOLDER, FULLNAME, NAMESPACE, RELEASE, container, merged, nested, render
from tests.helm.switches import SWITCHES

PERSISTENT = {"videos": {"persistent": True, "sizeGi": 100, "storageClass": "fast"}}


def test_it_runs_what_the_values_name() -> None:
    """Release or digest, pull policy, pull secrets and replicas are those of the values."""
    image = {"repository": "r.example/gateway", "tag": "1.2", "digest": f"sha256:{'a' * 64}", "pullPolicy": "Always"}
    rendered = render({"images": {"gateway": image, "pullSecrets": ["login"]}, "gateway": {"replicas": 5}})
    gateway = container(rendered.gateway, "gateway")
    assert gateway["image"] == f"r.example/gateway:1.2@sha256:{'a' * 64}"
    assert gateway["imagePullPolicy"] == "Always"
    assert rendered.gateway["imagePullSecrets"] == [{"name": "login"}]
    assert rendered.one("Deployment")["spec"]["replicas"] == 5


def test_a_rollout_takes_nobody_away() -> None:
    """A new pod is ready before an old one goes."""
    strategy = render().one("Deployment")["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_alive_is_not_ready() -> None:
    """Start and life ask /healthz, readiness asks /readyz, so that who loads or drains is not restarted."""
    gateway = container(render().gateway, "gateway")
    asked = {probe: gateway[f"{probe}Probe"]["httpGet"] for probe in ("startup", "readiness", "liveness")}
    assert asked == {
        "startup": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
    }


def test_the_start_may_take_its_time() -> None:
    """The startup probe waits for as long as the values say."""
    probe = container(render(nested("gateway.startupSeconds", 301)).gateway, "gateway")["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] >= 301


@pytest.mark.parametrize(
    "drain", [{}, {"preStop": 0, "delay": 0.5, "timeout": 7.25, "margin": 5}, {"timeout": 300}], ids=str
)
def test_the_pod_lives_until_the_drain_is_over(drain: Mapping[str, float]) -> None:
    """The grace period is longer than preStop, delay and time for requests in flight together."""
    rendered = render({"drain": drain})
    sleep = container(rendered.gateway, "gateway").get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})["preStop"]
    waited = sleep["sleep"]["seconds"]
    drained = sum(float(rendered.settings[f"VITRAIL_DRAIN_{part}_S"]) for part in ("DELAY", "TIMEOUT"))
    assert rendered.gateway["terminationGracePeriodSeconds"] >= waited + drained + 5


def test_who_waits_for_nothing_has_no_hook() -> None:
    """Kubernetes before 1.33 refuses a pod whose preStop sleeps for no second."""
    rendered = render({"engine": "triton", "drain": {"preStop": 0}, "triton": {"preStop": 0}})
    for spec, name in ((rendered.gateway, "gateway"), (rendered.triton, "triton")):
        assert "lifecycle" not in container(spec, name)


def test_callers_behind_a_proxy_are_told_apart() -> None:
    """Who is named as a proxy is believed where a request comes from; by default nobody is."""
    rendered = render({"gateway": {"trustedProxies": ["10.0.0.0/8", "192.0.2.1"]}})
    assert rendered.settings["FORWARDED_ALLOW_IPS"] == "10.0.0.0/8,192.0.2.1"
    assert "FORWARDED_ALLOW_IPS" not in render().settings


def test_what_is_written_goes_to_volumes() -> None:
    """Only videos and /tmp can be written to; the models cannot."""
    mounts = {mount["mountPath"]: mount for mount in container(render().gateway, "gateway")["volumeMounts"]}
    assert {path for path, mount in mounts.items() if not mount.get("readOnly")} == {"/videos", "/tmp"}  # noqa: S108
    assert mounts["/models"]["readOnly"] is True


def test_models_can_be_written_where_that_is_wanted() -> None:
    """With `writable` the API may write routing.yaml."""
    spec = render(nested("repository.writable", True)).gateway
    assert "readOnly" not in next(one for one in container(spec)["volumeMounts"] if one["mountPath"] == "/models")


def test_videos_never_fill_their_volume() -> None:
    """Jobs may take less disk than the volume has, for a pod that fills it is evicted."""
    rendered = render(nested("videos.sizeGi", 10))
    (volume,) = (one for one in rendered.gateway["volumes"] if one["name"] == "videos")
    assert volume["emptyDir"] == {"sizeLimit": "10Gi"}
    assert 0 < int(rendered.settings["VITRAIL_VIDEO_DISK_BYTES"]) < 10 << 30


def test_each_replica_keeps_videos_of_its_own() -> None:
    """Persistent videos make it a StatefulSet with a claim for each replica, which outlives it."""
    rendered = render(PERSISTENT)
    assert not rendered.has("Deployment")
    spec = rendered.one("StatefulSet")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "100Gi"}},
    }
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}


def test_nothing_that_cannot_change_has_a_version() -> None:
    """Selectors and claim templates, which Kubernetes never changes, tell no release of chart or service."""
    rendered = render(merged(PERSISTENT, {"commonLabels": {"team": "vision"}}))
    spec = rendered.one("StatefulSet")["spec"]
    (claim,) = spec["volumeClaimTemplates"]
    fixed = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"}
    assert set(spec["selector"]["matchLabels"]) == set(claim["metadata"]["labels"]) == fixed


def test_the_statefulset_has_its_service() -> None:
    """It names the headless Service, which is there even if it is switched off."""
    rendered = render(merged(PERSISTENT, nested("service.headless.enabled", False)))
    name = rendered.one("StatefulSet")["spec"]["serviceName"]
    assert rendered.one("Service", name)["spec"]["clusterIP"] == "None"


def test_replicas_stand_apart() -> None:
    """Pods of one revision are spread over zones and nodes."""
    spread = render().gateway["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    assert {one["whenUnsatisfiable"] for one in spread} == {"ScheduleAnyway"}
    assert spread[0]["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"


@pytest.mark.parametrize(("seconds", "tolerated"), [(30, [30, 30]), (None, [])])
def test_pods_of_a_lost_node_are_replaced(seconds: int | None, tolerated: list[int]) -> None:
    """After as long as the values say, or as Kubernetes does by itself."""
    own = [{"key": "a", "operator": "Exists"}]
    spec = render({"lostNodeSeconds": seconds, "gateway": {"tolerations": own}}).gateway
    assert spec["tolerations"][0] == own[0]
    assert [one["tolerationSeconds"] for one in spec["tolerations"][1:]] == tolerated
    keys = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    assert [one["key"] for one in spec["tolerations"][1:]] == keys[: len(tolerated)]


def test_labels_are_on_all_objects_and_pods() -> None:
    """Those that are common to all, so that costs can be told apart, and a pod's own."""
    rendered = render({"engine": "triton", "commonLabels": {"team": "vision"}, "gateway": {"podLabels": {"a": "b"}}})
    assert {one["metadata"]["labels"].get("team") for one in rendered.objects} == {"vision"}
    pods = {name: one["spec"]["template"]["metadata"]["labels"] for name, one in rendered.all("Deployment").items()}
    assert [labels["team"] for labels in pods.values()] == ["vision", "vision"]
    assert [name for name, labels in pods.items() if labels.get("a") == "b"] == [FULLNAME]


@pytest.mark.parametrize("key", ["settings.max_queue", "drain.delay"])
def test_a_changed_setting_is_a_rollout(key: str) -> None:
    """The pods carry a checksum of their settings."""
    before, after = (
        render(values).one("Deployment")["spec"]["template"]["metadata"] for values in ({}, nested(key, 9))
    )
    assert before["annotations"]["checksum/settings"] != after["annotations"]["checksum/settings"]
    assert before["labels"] == after["labels"]


def test_another_number_of_replicas_is_no_rollout() -> None:
    """What is no matter of the pods leaves them alone."""
    before, after = (
        render(values).one("Deployment")["spec"]["template"] for values in ({}, nested("gateway.replicas", 9))
    )
    assert before == after


def test_the_services_lead_to_rest_and_grpc() -> None:
    """Both Services have both protocols; the headless one has every replica's address."""
    rendered = render()
    service, headless = (rendered.one("Service", name)["spec"] for name in (FULLNAME, f"{FULLNAME}-headless"))
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(80, "http"), (8001, "grpc")]
    assert headless["clusterIP"] == "None"
    assert [port["appProtocol"] for port in headless["ports"]] == ["http", "kubernetes.io/h2c"]


def test_a_budget_holds_replicas_back() -> None:
    """A tenth goes at a time, and one at least; who is not ready may always go."""
    spec = render().one("PodDisruptionBudget")["spec"]
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == ("10%", "AlwaysAllow")


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({"max_body_bytes": 50_000_000}, "50000000"),
        ({"trace_share": 0.25}, "0.25"),
        ({"keep_disagreeing_images": True}, "true"),
        ({"default_models": {"classify": "a@stable"}}, '{"classify":"a@stable"}'),
        ({"cors_origins": ["https://a.example", "https://b.example"]}, "https://a.example,https://b.example"),
        ({"memory_limit": "3GiB"}, "3GiB"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_settings_are_what_the_service_reads(
    given: dict[str, Any], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting of any type reaches the service as it was meant."""
    ((name, value),) = given.items()
    rendered = render({"settings": given}).settings[f"VITRAIL_{name.upper()}"]
    assert rendered == variable
    monkeypatch.setenv(f"VITRAIL_{name.upper()}", rendered)
    assert getattr(Settings(), name) == Settings(**{name: value}).__dict__[name]


@pytest.mark.parametrize(
    "values", [{"engine": "triton"}, SWITCHES["repository"]["oci"], SWITCHES["tls"]["mutual"]], ids=range(3)
)
def test_another_chart_is_no_rollout(values: dict[str, Any], tmp_path: Path) -> None:
    """A new release of the chart alone restarts no pod, neither of the gateway nor of Triton, and no build."""
    newer = tmp_path / "helm"
    shutil.copytree(FOLDER, newer)
    text = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(text.replace("\nversion: ", "\nversion: 9"))
    before = [one["spec"]["template"] for one in render(values).objects if one["kind"] == "Deployment"]
    with Chart.load(newer) as chart:
        files = chart.render(values, name=RELEASE, namespace=NAMESPACE)
    after = [yaml.safe_load(text) for path, text in files.items() if path.endswith("_deployment.yaml")]
    found = [one for one in after if one is not None]
    assert {one["metadata"]["labels"]["helm.sh/chart"] for one in found} == {"vitrail-90.1.0"}
    assert [one["spec"]["template"] for one in found] == before


def test_a_digest_needs_no_tag() -> None:
    """An image is named by its tag, by its digest, or by both."""
    digest = f"sha256:{'a' * 64}"
    for tag, named in (("", f"vitrail/gateway@{digest}"), ("1", f"vitrail/gateway:1@{digest}")):
        rendered = render({"images": {"gateway": {"tag": tag, "digest": digest}}})
        assert container(rendered.gateway)["image"] == named
