"""Kubernetes' own schemas, strict: a field that it does not know is an error. The schemas are kubernetes-validate's."""

import re
from functools import cache
from typing import Any

import jsonschema
import kubernetes_validate
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

OLDEST = "1.30.0"
NEWEST = kubernetes_validate.latest_version()

NOT_KUBERNETES_OWN = {
    "monitoring.coreos.com/v1",
    "keda.sh/v1alpha1",
    "gateway.networking.k8s.io/v1",
}
"""What other projects define; the tests of those objects look at what they require."""


def problems(thing: dict[str, Any], version: str) -> list[str]:
    """What a Kubernetes of this version would refuse of an object, each with its place; empty for other projects' own.

    It is what `kubernetes_validate.validate(…, strict=True)` says, without reading the schemas anew for each object.
    """
    if thing["apiVersion"] in NOT_KUBERNETES_OWN:
        return []
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", thing["apiVersion"])
    found = _validator(f"{thing['kind'].lower()}-{group}.json", version).iter_errors(thing)
    return [f"{thing['kind']} {thing['metadata']['name']} {error.json_path}: {error.message}" for error in found]


@cache
def _validator(filename: str, version: str) -> jsonschema.Draft202012Validator:
    folder = f"kubernetes-json-schema/v{version}-local-strict"
    schema = schema_contents(f"{folder}/{filename}", version)
    return jsonschema.Draft202012Validator(schema, registry=_definitions(folder, version))


@cache
def _definitions(folder: str, version: str) -> Registry[Any]:
    definitions = schema_contents(f"{folder}/_definitions.json", version)
    return Resource.from_contents(definitions) @ Registry()
