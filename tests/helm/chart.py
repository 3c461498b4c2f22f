"""The chart, rendered by a real Helm: `helm-python-sdk` carries Helm 4 as a library, and no cluster is asked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from helm_python.chart import Chart

FOLDER = Path(__file__).parents[2] / "helm"
RELEASE = "demo"
NAMESPACE = "vision"
FULLNAME = "demo-vitrail"

Object = dict[str, Any]
Values = Mapping[str, Any]


@cache
def chart() -> Chart:
    """The chart, loaded once in each process."""
    return Chart.load(FOLDER)


@dataclass(frozen=True)
class Rendered:
    """What Helm would send to Kubernetes, `helm test`'s pods among it."""

    objects: list[Object]
    notes: str

    def all(self, kind: str) -> dict[str, Object]:
        """The objects of a kind, by name."""
        return {one["metadata"]["name"]: one for one in self.objects if one["kind"] == kind}

    def one(self, kind: str, name: str = FULLNAME) -> Object:
        """The object of a kind and name; an AssertionError lists those that there are."""
        found = self.all(kind)
        assert name in found, f"no {kind} {name}; there are {sorted(found)}"
        return found[name]

    def has(self, kind: str, name: str = FULLNAME) -> bool:
        """Whether there is such an object."""
        return name in self.all(kind)

    @property
    def names(self) -> set[tuple[str, str]]:
        """Kind and name of every object."""
        return {(one["kind"], one["metadata"]["name"]) for one in self.objects}

    def pod_specs(self) -> Iterator[tuple[str, Object]]:
        """Each object that makes pods, as kind/name, and their spec."""
        for one in self.objects:
            spec = one["spec"] if one["kind"] == "Pod" else one.get("spec", {}).get("template", {}).get("spec")
            if spec is not None:
                yield f"{one['kind']}/{one['metadata']['name']}", spec

    @property
    def gateway(self) -> Object:
        """The spec of the gateway's pods."""
        kind = "StatefulSet" if self.has("StatefulSet") else "Deployment"
        spec: Object = self.one(kind)["spec"]["template"]["spec"]
        return spec

    @property
    def triton(self) -> Object:
        """The spec of Triton's pods."""
        spec: Object = self.one("Deployment", f"{FULLNAME}-triton")["spec"]["template"]["spec"]
        return spec

    @property
    def settings(self) -> dict[str, str]:
        """The variables of the gateway that are no secrets."""
        data: dict[str, str] = self.one("ConfigMap", f"{FULLNAME}-settings")["data"]
        return data


def render(values: Values | None = None, *, name: str = RELEASE) -> Rendered:
    """Render the chart; HelmValuesError or HelmRenderError if the values are refused.

    What was rendered once is not rendered again, so nobody may change it.
    """
    return _rendered(json.dumps(values or {}), name)


@cache
def _rendered(values: str, name: str) -> Rendered:
    files = chart().render(json.loads(values), name=name, namespace=NAMESPACE)
    objects = [
        document
        for path, text in files.items()
        if not path.endswith("NOTES.txt")
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if document is not None
    ]
    notes = next((text for path, text in files.items() if path.endswith("NOTES.txt")), "")
    return Rendered(objects, notes)


def container(spec: Object, name: str | None = None) -> Object:
    """A container of a pod by its name; without one, the only one that stays."""
    containers = spec["containers"] + spec.get("initContainers", [])
    found: Object = next(one for one in containers if name in (None, one["name"]))
    return found


def nested(path: str, value: object) -> dict[str, Any]:
    """``gateway.replicas`` and 3 as values: ``{"gateway": {"replicas": 3}}``."""
    first, _, rest = path.partition(".")
    return {first: nested(rest, value) if rest else value}


def merged(*parts: Values) -> dict[str, Any]:
    """Values over values, as Helm lays one file over another."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            both = isinstance(value, Mapping) and isinstance(whole.get(name), Mapping)
            whole[name] = merged(whole[name], value) if both else value
    return whole
