"""Triton's pods, and the builds that make plans for their GPU."""

import pytest

from tests.helm.chart import FULLNAME, NAMESPACE, Object, Rendered, container, merged, nested, render

TRITON = {"engine": "triton"}
PLACE = {
    "resource": "nvidia.com/mig-1g.10gb",
    "count": 2,
    "nodeSelector": {"gpu": "l4"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "runtimeClassName": "nvidia",
}
BUILDS = merged(TRITON, {"gpu": PLACE, "build": {"enabled": True}})


def job(rendered: Rendered) -> Object:
    """The only Job."""
    (found,) = rendered.all("Job").values()
    return found


def test_there_is_none_unless_it_is_asked_for() -> None:
    """The embedded engine has no Triton, nor does one that runs elsewhere."""
    elsewhere = {"engine": "triton", "triton": {"enabled": False, "address": "dns:///t.gpu.svc:8001"}}
    for values in ({}, elsewhere):
        assert not [name for _, name in render(values).names if "triton" in name]
    assert render(elsewhere).settings["VITRAIL_TRITON_URL"] == "dns:///t.gpu.svc:8001"


def test_it_loads_what_it_is_told_to() -> None:
    """The gateway decides what is loaded; one bad model neither ends the server nor takes it out of the Service."""
    arguments = container(render(TRITON).triton)["args"]
    assert arguments[0] == "tritonserver"
    assert {"--model-repository=/models", "--model-control-mode=explicit", "--exit-on-error=false"} <= set(arguments)
    assert {"--strict-readiness=false", "--disable-auto-complete-config"} <= set(arguments)


def test_the_gateway_finds_every_replica() -> None:
    """The address is that of the headless Service, looked up again and again."""
    rendered = render(TRITON)
    assert rendered.settings["VITRAIL_ENGINE"] == "triton"
    assert rendered.settings["VITRAIL_TRITON_URL"] == f"dns:///{FULLNAME}-triton.{NAMESPACE}.svc:8001"
    service = rendered.one("Service", f"{FULLNAME}-triton")["spec"]
    assert service["clusterIP"] == "None"
    assert {port["name"]: port["port"] for port in service["ports"]} == {"grpc": 8001, "metrics": 8002}


def test_its_probes() -> None:
    """It is asked at its own health pages."""
    triton = container(render(TRITON).triton)
    asked = {name: triton[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert asked == dict.fromkeys(("startup", "liveness"), "/v2/health/live") | {"readiness": "/v2/health/ready"}


def test_it_ends_after_its_requests() -> None:
    """The grace period covers preStop and the time that Triton gives to what runs."""
    rendered = render(merged(TRITON, {"triton": {"preStop": 11, "exitTimeout": 100}}))
    triton = container(rendered.triton)
    assert "--exit-timeout-secs=100" in triton["args"]
    assert triton["lifecycle"]["preStop"]["sleep"]["seconds"] == 11
    assert rendered.triton["terminationGracePeriodSeconds"] > 111


def test_it_reads_the_models_that_the_gateway_reads() -> None:
    """Both mount one claim, Triton only to read."""
    rendered = render(merged(TRITON, nested("repository.writable", True)))
    for spec in (rendered.gateway, rendered.triton):
        (volume,) = (one for one in spec["volumes"] if one["name"] == "models")
        assert volume["persistentVolumeClaim"] == {"claimName": f"{FULLNAME}-models"}
    assert {"name": "models", "mountPath": "/models", "readOnly": True} in container(rendered.triton)["volumeMounts"]


def test_a_build_runs_where_the_plans_will() -> None:
    """Builds and Triton ask for the same nodes, the same GPUs and the same runtime."""
    rendered = render(BUILDS)
    builds, serves = job(rendered)["spec"]["template"]["spec"], rendered.triton
    for key in ("nodeSelector", "runtimeClassName"):
        assert builds[key] == serves[key] == PLACE[key]
    assert builds["tolerations"] == serves["tolerations"][:1] == PLACE["tolerations"]
    for spec in (builds, serves):
        resources = container(spec)["resources"]
        assert resources["limits"]["nvidia.com/mig-1g.10gb"] == resources["requests"]["nvidia.com/mig-1g.10gb"] == 2


def test_a_build_for_the_embedded_engine_needs_no_gpu() -> None:
    """It runs where the gateway does."""
    rendered = render(merged(BUILDS, {"engine": "embedded", "gateway": {"nodeSelector": {"cpu": "amd"}}}))
    spec = job(rendered)["spec"]["template"]["spec"]
    assert spec["nodeSelector"] == rendered.gateway["nodeSelector"] == {"cpu": "amd"}
    assert not [name for name in container(spec)["resources"]["limits"] if "nvidia" in name]


def test_a_build_writes_into_the_repository() -> None:
    """The command is the values', with the repository at the end, and the volume can be written to."""
    spec = job(render(BUILDS))["spec"]["template"]["spec"]
    assert container(spec)["args"] == ["build", "--default", "--repository=/models"]
    (mount,) = (one for one in container(spec)["volumeMounts"] if one["name"] == "models")
    assert mount == {"name": "models", "mountPath": "/models"}


def test_a_command_that_makes_no_sense_is_not_repeated() -> None:
    """Status 2 fails the Job at once; a pod that was evicted does not count."""
    spec = job(render(BUILDS))["spec"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert [rule["action"] for rule in spec["podFailurePolicy"]["rules"]] == ["FailJob", "Ignore"]
    assert spec["podFailurePolicy"]["rules"][0]["onExitCodes"]["values"] == [2]


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ({"build": {"jobs": [{"name": "default-models", "args": ["compile"]}]}}, True),
        ({"images": {"builder": {"tag": "0.2.0"}}}, True),
        ({"gpu": {"nodeSelector": {"gpu": "h200"}}}, True),
        ({"gateway": {"replicas": 7}}, False),
        ({"images": {"gateway": {"tag": "0.2.0"}}}, False),
        ({"commonLabels": {"team": "vision"}}, False),
    ],
    ids=["command", "builder", "gpu", "replicas", "gateway", "labels"],
)
def test_a_job_is_what_it_does(change: dict[str, object], *, anew: bool) -> None:
    """Another content is another Job, which runs; the same content is the same Job, which does not run again."""
    before, after = (job(render(values)) for values in (BUILDS, merged(BUILDS, change)))
    assert (before["metadata"]["name"] != after["metadata"]["name"]) is anew
    assert (before["spec"]["template"] != after["spec"]["template"]) is anew


def test_each_build_is_a_job_of_its_own() -> None:
    """Long names are cut, and stay apart."""
    jobs = [{"name": f"{'long-' * 5}{number}", "args": ["build", "a"]} for number in range(2)]
    rendered = render(merged(BUILDS, {"build": {"jobs": jobs}}), name="a-release-with-a-name-of-forty-letters-x")
    assert len(rendered.all("Job")) == 2
    assert max(len(name) for name in rendered.all("Job")) <= 63
