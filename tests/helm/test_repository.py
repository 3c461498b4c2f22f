"""Where the models come from: a claim that is shared, or an archive that each pod fetches and proves."""

import pytest

from tests.helm.chart import FOLDER, FULLNAME, container, merged, nested, render
from tests.helm.switches import SHA256, SWITCHES

OCI = SWITCHES["repository"]["oci"]
STORE = SWITCHES["repository"]["store"]
TRITON = {"engine": "triton"}


def test_a_claim_is_made() -> None:
    """By default there is one for all pods, which outlives the release."""
    claim = render().one("PersistentVolumeClaim", f"{FULLNAME}-models")
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["spec"] == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "50Gi"}}}


def test_a_claim_that_is_there_is_used() -> None:
    """Then none is made."""
    rendered = render(nested("repository.claim.existing", "models"))
    assert not rendered.all("PersistentVolumeClaim")
    (volume,) = (one for one in rendered.gateway["volumes"] if one["name"] == "models")
    assert volume["persistentVolumeClaim"]["claimName"] == "models"


@pytest.mark.parametrize("source", ["oci", "store"])
def test_an_archive_is_proved_before_it_is_used(source: str) -> None:
    """Gateway and Triton first fetch, then check against the values' checksum; the models then cannot be written to."""
    rendered = render(merged(TRITON, SWITCHES["repository"][source]))
    for spec in (rendered.gateway, rendered.triton):
        fetch, take = spec["initContainers"]
        assert (fetch["name"], take["name"]) == ("fetch", "take")
        archive = "models.tar" if source == "oci" else "models.tar.gz"
        assert take["command"] == ["python", "/scripts/take_archive.py", f"/download/{archive}", SHA256, "/models"]
        assert "models" not in {mount["name"] for mount in fetch["volumeMounts"]}
        assert {"name": "models", "mountPath": "/models", "readOnly": True} in container(spec)["volumeMounts"]


def test_the_artifact_is_pulled_by_its_reference() -> None:
    """With the login of a Secret, which is mounted and not told."""
    spec = render(OCI).gateway
    fetch = container(spec, "fetch")
    assert fetch["args"][0] == "pull"
    assert fetch["args"][-1] == "registry.example.com/models:1"
    assert "--registry-config=/etc/registry/config.json" in fetch["args"]
    (login,) = (one["secret"] for one in spec["volumes"] if one["name"] == "registry")
    assert login["secretName"] == "pull"
    assert login["items"] == [{"key": ".dockerconfigjson", "path": "config.json"}]


def test_the_object_is_fetched_with_the_secrets_login() -> None:
    """Plain variables are told, the login is that of a Secret."""
    fetch = container(render(STORE).gateway, "fetch")
    assert fetch["args"][0] == "copyto"
    assert fetch["args"][-2:] == ["store:bucket/models.tar.gz", "/download/models.tar.gz"]
    assert {"name": "RCLONE_CONFIG_STORE_TYPE", "value": "s3"} in fetch["env"]
    assert fetch["envFrom"] == [{"secretRef": {"name": "store-keys"}}]


def test_another_archive_is_a_rollout() -> None:
    """A new checksum changes the pods, so new models come by a rolling update, and go by a rollback."""
    other = merged(OCI, nested("repository.archive.sha256", "f" * 64))
    before, after = (render(values).one("Deployment")["spec"]["template"] for values in (OCI, other))
    assert before != after


def test_the_script_is_that_of_the_chart() -> None:
    """What the pods run is the file that the tests run."""
    data = render(OCI).one("ConfigMap", f"{FULLNAME}-scripts")["data"]
    assert data["take_archive.py"].strip() == (FOLDER / "files/take_archive.py").read_text().strip()
