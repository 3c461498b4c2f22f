"""What holds of every rendering, whatever is switched on: each function lists what is wrong."""

from collections.abc import Callable, Iterator
from typing import Any

from service.settings import Settings
from tests.helm.chart import RELEASE, Object, Rendered, container
from tests.helm.kubernetes_schemas import NEWEST, OLDEST, problems

_VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
"""Of those that Pod Security "restricted" allows, the ones that the chart uses."""


def schemas(rendered: Rendered) -> Iterator[str]:
    """The oldest Kubernetes that the chart takes and the newest that is known would accept each object."""
    for one in rendered.objects:
        for version in (OLDEST, NEWEST):
            yield from (f"Kubernetes {version}: {problem}" for problem in problems(one, version))


def names(rendered: Rendered) -> Iterator[str]:
    """No two objects of a kind have one name, none says its namespace, and all can be found by the release."""
    if len(rendered.names) != len(rendered.objects):
        yield "two objects have one name"
    for one in rendered.objects:
        metadata = one["metadata"]
        where = f"{one['kind']} {metadata['name']}"
        if "namespace" in metadata:
            yield f"{where} has a namespace"
        if len(metadata["name"]) > 63:
            yield f"{where} has a long name"
        if metadata["labels"].get("app.kubernetes.io/instance") != RELEASE:
            yield f"{where} lacks the release's label"


def confined(rendered: Rendered) -> Iterator[str]:
    """Pod Security "restricted" and more, for every pod: of a test and of a build too."""
    for where, spec in rendered.pod_specs():
        wanted = {"automountServiceAccountToken": False, "enableServiceLinks": False}
        yield from (f"{where}: {key}" for key, value in wanted.items() if spec.get(key) is not value)
        if spec["securityContext"]["seccompProfile"] != {"type": "RuntimeDefault"}:
            yield f"{where}: seccomp"
        yield from (f"{where}: {key}" for key in ("hostNetwork", "hostPID", "hostIPC", "hostUsers") if key in spec)
        kinds = {kind for volume in spec.get("volumes", []) for kind in volume if kind != "name"}
        yield from (f"{where}: a volume of {kind}" for kind in kinds - _VOLUMES)
        for each in spec["containers"] + spec.get("initContainers", []):
            yield from (f"{where} {each['name']}: {problem}" for problem in _container(each))


def _container(each: Object) -> Iterator[str]:
    security = each["securityContext"]
    yield from (f"host port {port['hostPort']}" for port in each.get("ports", []) if "hostPort" in port)
    yield from (key for key in ("privileged", "procMount") if key in security)
    wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "runAsNonRoot": True}
    yield from (key for key, value in wanted.items() if security.get(key) is not value)
    if security["capabilities"] != {"drop": ["ALL"]}:
        yield "capabilities"
    for part in ("requests", "limits"):
        if not {"cpu", "memory"} <= set(each["resources"][part]):
            yield f"no {part}"
    if not each["image"].rpartition(":")[2][0].isalnum() or each["image"].endswith(":latest"):
        yield f"the image {each['image']} has no release"


def references(rendered: Rendered) -> Iterator[str]:
    """What a pod mounts or reads is there: a volume of its own, and for it a ConfigMap, a claim, an account."""
    for where, spec in rendered.pod_specs():
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        templates = _claim_templates(rendered, where)
        mounted = set()
        for each in spec["containers"] + spec.get("initContainers", []):
            mounted |= {mount["name"] for mount in each.get("volumeMounts", [])}
            yield from (
                f"{where}: {name} is no ConfigMap" for name in _config_maps(each) if not rendered.has("ConfigMap", name)
            )
        if mounted != set(volumes) | templates:
            yield f"{where} mounts {sorted(mounted)} of {sorted(set(volumes) | templates)}"
        for volume in volumes.values():
            name = volume.get("configMap", {}).get("name")
            if name and not rendered.has("ConfigMap", name):
                yield f"{where}: {name} is no ConfigMap"
            name = volume.get("persistentVolumeClaim", {}).get("claimName")
            if name and name.startswith(RELEASE) and not rendered.has("PersistentVolumeClaim", name):
                yield f"{where}: {name} is no claim"
        account = spec["serviceAccountName"]
        if account != "default" and not rendered.has("ServiceAccount", account):
            yield f"{where}: there is no account {account}"


def _claim_templates(rendered: Rendered, where: str) -> set[str]:
    kind, _, name = where.partition("/")
    templates = rendered.one(kind, name)["spec"].get("volumeClaimTemplates", [])
    return {template["metadata"]["name"] for template in templates}


def _config_maps(each: Object) -> list[str]:
    return [source["configMapRef"]["name"] for source in each.get("envFrom", []) if "configMapRef" in source]


def _pods(rendered: Rendered) -> Iterator[tuple[dict[str, str], set[str]]]:
    """The labels of the pods that there will be, and the names of their ports."""
    for one in rendered.objects:
        pod = one if one["kind"] == "Pod" else one.get("spec", {}).get("template")
        if pod and "containers" in pod.get("spec", {}):
            ports = {port["name"] for each in pod["spec"]["containers"] for port in each.get("ports", [])}
            yield pod["metadata"]["labels"], ports


def selectors(rendered: Rendered) -> Iterator[str]:
    """What selects pods finds some, and its ports are theirs."""
    pods = list(_pods(rendered))
    for one in rendered.objects:
        selector = _selector(one)
        if selector is None:
            continue
        where = f"{one['kind']} {one['metadata']['name']}"
        found = [ports for labels, ports in pods if selector.items() <= labels.items()]
        if pods and not found:
            yield f"{where} selects no pod"
        if "app.kubernetes.io/instance" not in selector or "app.kubernetes.io/version" in selector:
            yield f"{where} selects by {sorted(selector)}"
        wanted = {port["targetPort"] for port in one["spec"].get("ports", [])} if one["kind"] == "Service" else set()
        yield from (f"{where}: no pod has {wanted}" for ports in found if not wanted <= ports)


def _selector(one: Object) -> dict[str, str] | None:
    spec: dict[str, Any] = one.get("spec", {})
    places = {"Service": spec.get("selector"), "NetworkPolicy": spec.get("podSelector", {}).get("matchLabels")}
    if one["kind"] in {"Deployment", "StatefulSet", "PodDisruptionBudget"}:
        return dict(spec["selector"]["matchLabels"])
    return places.get(one["kind"])


def targets(rendered: Rendered) -> Iterator[str]:
    """What scales or routes names an object that there is; what is scaled by another says no number itself."""
    scaled = set()
    for one in rendered.objects:
        target = one.get("spec", {}).get("scaleTargetRef") if isinstance(one.get("spec"), dict) else None
        if target:
            scaled.add((target["kind"], target["name"]))
            if not rendered.has(target["kind"], target["name"]):
                yield f"{one['kind']}: there is no {target['kind']} {target['name']}"
    for kind in ("Deployment", "StatefulSet"):
        for name, one in rendered.all(kind).items():
            if ("replicas" in one["spec"]) is ((kind, name) in scaled):
                yield f"{kind} {name}: replicas, and an autoscaler, or neither"


def settings(rendered: Rendered) -> Iterator[str]:
    """Each variable of the service is a setting of it, and the service takes all of them together."""
    if not rendered.has("ConfigMap", f"{RELEASE}-vitrail-settings"):
        return
    given = {name.removeprefix("VITRAIL_").lower(): value for name, value in rendered.settings.items()}
    more = [variable["name"] for variable in container(rendered.gateway, "gateway").get("env", [])]
    unknown = {*given, *(name.removeprefix("VITRAIL_").lower() for name in more)} - set(Settings.model_fields)
    if unknown:
        yield f"no settings: {sorted(unknown)}"


INVARIANTS: tuple[Callable[[Rendered], Iterator[str]], ...] = (
    schemas, names, confined, references, selectors, targets, settings,
)  # fmt: skip


def broken(rendered: Rendered) -> list[str]:
    """All that is wrong."""
    return [problem for invariant in INVARIANTS for problem in invariant(rendered)]
