"""HPA and KEDA: what they scale, by which figures, and that these figures exist."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.telemetry import Telemetry
from tests.helm.chart import FOLDER, FULLNAME, NAMESPACE, Object, chart, merged, nested, render
from tests.helm.switches import PROMETHEUS

TRITON = f"{FULLNAME}-triton"
ALL = {"engine": "triton", "prometheusAddress": PROMETHEUS, "metricsAdapter": {"enabled": True}}
OF_TRITON = {"nv_inference_queue_duration_us", "nv_inference_request_success"}
"""By Triton's own documentation of its metrics; the dashboards ask for them too."""


def scaled(kind: str, name: str, **more: Any) -> Object:
    """The autoscaler of a kind, ``hpa`` or ``keda``, for a workload."""
    component = "triton" if name == TRITON else "gateway"
    values = merged(ALL, {component: {"autoscaling": {kind: {"enabled": True}, **more}}})
    spec: Object = render(values).one({"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}[kind], name)["spec"]
    return spec


def test_the_hpa_scales_by_wait_and_by_images_in_flight() -> None:
    """Its targets are means over the replicas, in thousandths."""
    spec = scaled("hpa", FULLNAME, queueWaitSeconds=0.05, imagesInFlight=8)
    assert {one["pods"]["metric"]["name"]: one["pods"]["target"] for one in spec["metrics"]} == {
        "vitrail_queue_wait_p95_seconds": {"type": "AverageValue", "averageValue": "50m"},
        "vitrail_images_in_flight_mean": {"type": "AverageValue", "averageValue": "8000m"},
    }
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 10)


def test_figures_can_be_left_out_and_cpu_added() -> None:
    """CPU needs nothing but the metrics server."""
    spec = scaled("hpa", FULLNAME, queueWaitSeconds=None, imagesInFlight=None, cpuPercent=70)
    (metric,) = spec["metrics"]
    assert metric["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}


@pytest.mark.parametrize("name", [FULLNAME, TRITON])
@pytest.mark.parametrize("kind", ["hpa", "keda"])
def test_it_grows_quickly_and_shrinks_slowly(kind: str, name: str) -> None:
    """What was added stays for a while, for it had models to load."""
    spec = scaled(kind, name, scaleDownSeconds=240, scaleDownPercent=7)
    behaviour = spec["behavior"] if kind == "hpa" else spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == 240
    assert {"type": "Percent", "value": 7, "periodSeconds": 60} in behaviour["scaleDown"]["policies"]


@pytest.mark.parametrize(("persistent", "kind"), [(False, "Deployment"), (True, "StatefulSet")])
def test_it_scales_what_there_is(*, persistent: bool, kind: str) -> None:
    """With persistent videos that is a StatefulSet."""
    rendered = render(merged(nested("videos.persistent", persistent), nested("gateway.autoscaling.hpa.enabled", True)))
    assert rendered.one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["kind"] == kind


@pytest.mark.parametrize("name", [FULLNAME, TRITON])
def test_a_scaled_object_has_what_keda_requires(name: str) -> None:
    """Target, bounds, and triggers with address, query and threshold; without Prometheus there are enough replicas."""
    spec = scaled("keda", name)
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    assert 0 < spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    for trigger in spec["triggers"]:
        assert (trigger["type"], trigger["metricType"]) == ("prometheus", "AverageValue")
        assert trigger["metadata"]["serverAddress"] == PROMETHEUS
        assert float(trigger["metadata"]["threshold"]) > 0
        assert f'namespace="{NAMESPACE}"' in trigger["metadata"]["query"]


def test_keda_asks_for_cpu_too() -> None:
    """Where that is wanted."""
    (trigger,) = scaled("keda", FULLNAME, queueWaitSeconds=None, imagesInFlight=None, cpuPercent=70)["triggers"]
    assert trigger == {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}


def rules() -> list[dict[str, Any]]:
    """The adapter's rules."""
    data = render(ALL).one("ConfigMap", f"{FULLNAME}-adapter")["data"]
    found: list[dict[str, Any]] = yaml.safe_load(data["config.yaml"])["rules"]
    return found


def queries() -> list[str]:
    """All that any autoscaler asks of Prometheus."""
    objects = [scaled("keda", name) for name in (FULLNAME, TRITON)]
    asked = [trigger["metadata"]["query"] for spec in objects for trigger in spec["triggers"]]
    return asked + [text for rule in rules() for text in (rule["seriesQuery"], rule["metricsQuery"])]


def test_the_adapter_has_every_metric_that_an_hpa_asks_for() -> None:
    """By the same names, and for pods."""
    asked = {one["pods"]["metric"]["name"] for name in (FULLNAME, TRITON) for one in scaled("hpa", name)["metrics"]}
    assert asked == {rule["name"]["as"] for rule in rules()}
    assert all(set(rule["resources"]["overrides"]) == {"namespace", "pod"} for rule in rules())


def test_the_metrics_exist() -> None:
    """Every metric that is asked for is one of the service, or one of Triton."""
    told = {family.name + ending for family in Telemetry().registry.collect() for ending in ("", "_total", "_bucket")}
    asked = {name for query in queries() for name in re.findall(r"\b((?:vitrail|nv)_\w+)", query)}
    assert asked - OF_TRITON <= told
    assert "vitrail_stage_seconds_bucket" in asked


def test_the_adapters_placeholders_are_its_own() -> None:
    """Each query selects and groups as the adapter asks it to."""
    for rule in rules():
        assert "<<.LabelMatchers>>" in rule["metricsQuery"]
        assert "by (<<.GroupBy>>" in rule["metricsQuery"]


def series(replica: str, *, waited: float, images: int) -> list[dict[str, str]]:
    """A replica's metrics, a sample every 15 s: all that answered waited as long, 10 a second; 0 s: none answered."""
    labels = f'namespace="{NAMESPACE}",service="{FULLNAME}-admin",pod="{replica}"'
    buckets = {bound: 150 if 0 < waited <= float(bound) else 0 for bound in ("0.01", "0.05", "0.1", "+Inf")}
    stages = [
        {"series": f'vitrail_stage_seconds_bucket{{{labels},stage="queue",le="{bound}"}}', "values": f"0+{step}x40"}
        for bound, step in buckets.items()
    ]
    return [*stages, {"series": f"vitrail_images_in_flight{{{labels}}}", "values": f"{images}x40"}]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool: `apt-get install prometheus`")
@pytest.mark.parametrize(
    ("waits", "total"),
    [((0.04, 0.04), 96), ((0.04, 0.0), 48), ((0.0, 0.0), 0), ((0.04, 0.5), 148)],
    ids=["both wait", "one is idle", "none asks", "one is swamped"],
)
def test_what_keda_asks_can_be_answered(waits: tuple[float, float], total: int, tmp_path: Path) -> None:
    """A real Prometheus sums over the replicas; no answer is no wait, and the swamped count as twice the target.

    In thousandths: 19 of 20 within 0.048 s, by a bucket that ends at 0.05; of 1 and 9 images 1 and 4 count.
    """
    replicas = [
        one for number, waited in enumerate(waits) for one in series(f"p{number}", waited=waited, images=1 + 8 * number)
    ]
    asked = [trigger["metadata"]["query"] for trigger in scaled("keda", FULLNAME)["triggers"]]
    answered(dict(zip(asked, (total, 5000), strict=True)), replicas, tmp_path)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool: `apt-get install prometheus`")
def test_what_keda_asks_of_triton_can_be_answered(tmp_path: Path) -> None:
    """Of three Tritons one waits for 2 ms, one for a minute, which counts as 8, and one is not asked."""
    replicas = []
    for pod, (waited_us, requests) in enumerate([(300_000, 150), (9_000_000_000, 150), (0, 0)]):
        labels = f'namespace="{NAMESPACE}",service="{TRITON}",pod="t{pod}",model="a"'
        replicas += [
            {"series": f"nv_inference_queue_duration_us{{{labels}}}", "values": f"0+{waited_us}x40"},
            {"series": f"nv_inference_request_success{{{labels}}}", "values": f"0+{requests}x40"},
        ]
    (trigger,) = scaled("keda", TRITON)["triggers"]
    answered({trigger["metadata"]["query"]: 10}, replicas, tmp_path)


def answered(asked: dict[str, int], replicas: list[dict[str, str]], folder: Path) -> None:
    """Have promtool prove that each query has that value, times 1000, after ten minutes of these series."""
    tests = [
        {"expr": f"round(1000 * ({query}))", "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": value}]}
        for query, value in asked.items()
    ]
    group = {"interval": "15s", "input_series": replicas, "promql_expr_test": tests}
    file = folder / "tests.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "tests": [group]}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("simulated", "component"), [("cpu", "gateway"), ("gpu", "triton")])
def test_the_defaults_are_those_of_the_simulation(simulated: str, component: str) -> None:
    """What docs/scaling.md proposes, and computed, is what the chart does where nobody says otherwise."""
    inputs = yaml.safe_load((FOLDER.parent / "benchmarks" / "scaling" / "inputs.yaml").read_text())
    proposed = inputs["autoscaling"][simulated]["proposed"]
    scaling = chart().values[component]["autoscaling"]
    assert scaling["queueWaitSeconds"] * 1000 == proposed["queue_wait_ms"]
    assert scaling.get("imagesInFlight") == proposed.get("in_flight")
    assert (scaling["windowSeconds"], scaling["mostTimesTarget"]) == (proposed["wait_window_s"], proposed["clamp"])
    behaviour = scaled("hpa", {"gateway": FULLNAME, "triton": TRITON}[component])["behavior"]
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] == proposed["down_window_s"]
    for direction, name in (("scaleUp", "up"), ("scaleDown", "down")):
        policies = [
            (one["type"].lower(), one["value"], one["periodSeconds"]) for one in behaviour[direction]["policies"]
        ]
        assert policies == [
            (kind, one[kind], one["period_s"]) for one in proposed[name] for kind in ("percent", "pods") if kind in one
        ]
