"""Each object has a switch, and each switch moves its own objects and no others."""

import pytest

from tests.helm.chart import FULLNAME, Rendered, render
from tests.helm.switches import defaults, values

OFF: dict[str, set[str]] = {
    "account": {"ServiceAccount"},
    "headless": {"Service/-headless"},
    "admin port": {"Service/-admin"},
    "gateway budget": {"PodDisruptionBudget"},
    "network": {"NetworkPolicy/-deny", "NetworkPolicy/-gateway", "NetworkPolicy/-test"},
    "tests": {
        "ConfigMap/-test-scripts", "NetworkPolicy/-test",
        "Pod/-test-classify", "Pod/-test-grpc-health", "Pod/-test-metrics",
    },
    "gateway": {
        "ConfigMap/-settings", "ConfigMap/-test-scripts", "Deployment", "NetworkPolicy/-gateway", "NetworkPolicy/-test",
        "Pod/-test-classify", "Pod/-test-grpc-health", "Pod/-test-metrics", "PodDisruptionBudget",
        "Service", "Service/-admin", "Service/-headless",
    },
}  # fmt: skip
"""By switch: the objects that are there by default, and go with it."""

ON: dict[tuple[str, str], set[str]] = {
    ("engine", "triton"): {
        f"{kind}/-triton" for kind in ("Deployment", "NetworkPolicy", "PodDisruptionBudget", "Service")
    },
    ("engine", "elsewhere"): set(),
    ("gateway scaling", "hpa"): {"HorizontalPodAutoscaler"},
    ("gateway scaling", "keda"): {"ScaledObject"},
    ("ingress http", "on"): {"Ingress/-http"},
    ("ingress grpc", "on"): {"Ingress/-grpc"},
    ("route http", "on"): {"HTTPRoute"},
    ("route grpc", "on"): {"GRPCRoute"},
    ("monitor", "on"): {"ServiceMonitor"},
    ("adapter", "on"): {"ConfigMap/-adapter"},
    ("build egress", "on"): set(),
    ("tls", "tls"): set(),
    ("tls", "mutual"): {"ConfigMap/-scripts"},
    ("writable", "on"): set(),
    ("dashboards", "on"): {
        f"ConfigMap/-dashboard-{name}" for name in ("latency", "overview", "saturation", "triton", "versions", "video")
    },
    ("rules", "on"): {
        f"PrometheusRule/-{name}"
        for name in ("gateway-alerts", "recording-rules", "slo-alerts", "version-alerts", "video-alerts")
    },
}  # fmt: skip
"""By switch and setting: the objects that come with it."""

WITH_TRITON: dict[tuple[str, str], tuple[set[str], set[str]]] = {
    ("triton budget", "off"): (set(), {"PodDisruptionBudget/-triton"}),
    ("triton scaling", "hpa"): ({"HorizontalPodAutoscaler/-triton"}, set()),
    ("triton scaling", "keda"): ({"ScaledObject/-triton"}, set()),
    ("monitor", "on"): ({"ServiceMonitor", "ServiceMonitor/-triton"}, set()),
    ("network", "off"): (set(), {f"NetworkPolicy/-{part}" for part in ("deny", "gateway", "test", "triton")}),
}
"""By switch and setting: what comes and what goes, where there is a Triton."""


def objects(rendered: Rendered) -> set[str]:
    """Kind and name of all objects, without what the names have in common."""
    return {f"{kind}/{name.removeprefix(FULLNAME)}".rstrip("/") for kind, name in rendered.names}


def chosen(**choice: str) -> Rendered:
    """The chart with some switches set otherwise."""
    return render(values(defaults() | choice))


@pytest.mark.parametrize("switch", OFF)
def test_what_is_there_can_be_left_out(switch: str) -> None:
    """Switched off, its objects are gone and all others are there."""
    assert objects(chosen()) - objects(chosen(**{switch: "off"})) == OFF[switch]
    assert objects(chosen(**{switch: "off"})) <= objects(chosen())


@pytest.mark.parametrize(("switch", "setting"), ON)
def test_what_is_not_there_can_be_had(switch: str, setting: str) -> None:
    """Switched on, its objects come and all others stay."""
    found = objects(chosen(**{switch: setting}))
    assert found - objects(chosen()) == ON[switch, setting]
    assert found >= objects(chosen())


@pytest.mark.parametrize(("switch", "setting"), WITH_TRITON)
def test_tritons_own(switch: str, setting: str) -> None:
    """Triton's objects have switches too."""
    before, after = (objects(chosen(engine="triton", **more)) for more in ({}, {switch: setting}))
    assert (after - before, before - after) == WITH_TRITON[switch, setting]


def test_the_service_can_be_left_out() -> None:
    """With the tests, which ask it; the replicas can still be found by the headless one."""
    assert objects(chosen(tests="off")) - objects(chosen(tests="off", service="off")) == {"Service"}


def test_builds_are_jobs() -> None:
    """A Job for each, and with what they may reach a policy."""
    jobs = objects(chosen(build="on")) - objects(chosen())
    assert [job.startswith("Job/-build-default-models-") for job in jobs] == [True]
    reaching = objects(chosen(build="on", **{"build egress": "on"}))
    assert reaching - objects(chosen(build="on")) == {"NetworkPolicy/-build"}


@pytest.mark.parametrize("repository", ["existing", "oci", "store"])
def test_the_claim_is_made_only_where_it_is_needed(repository: str) -> None:
    """Other models, no claim."""
    gone = objects(chosen()) - objects(chosen(repository=repository))
    assert gone == {"PersistentVolumeClaim/-models"}
