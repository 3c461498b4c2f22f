"""Secrets by reference only, TLS, keys, accounts."""

import re

import pytest
import yaml

from tests.helm.chart import FULLNAME, container, merged, nested, render
from tests.helm.switches import SWITCHES, values

TLS = nested("security.tls.secret", "server-tls")
MUTUAL = SWITCHES["tls"]["mutual"]
EVERY_SECRET = values(
    {"keys": "file", "tls": "mutual", "repository": "store", "ingress http": "on", "engine": "triton"}
)


def test_no_secret_is_written_down() -> None:
    """The chart makes no Secret; those that it uses are named."""
    rendered = render(EVERY_SECRET)
    assert not rendered.all("Secret")
    text = yaml.safe_dump_all(rendered.objects)
    assert {"keys", "server-tls", "probe-tls", "store-keys", "test-key"} <= set(
        re.findall(r"(?:secretName|name): (\S+)", text)
    )


def test_the_keys_file_is_a_folder_of_a_secret() -> None:
    """Kubernetes renews a mounted folder, never a single file, so that a new key needs no restart."""
    rendered = render(nested("security.keys", {"secret": "keys", "key": "all.yaml"}))
    assert rendered.settings["VITRAIL_KEYS_FILE"] == "/etc/vitrail/keys/all.yaml"
    (mount,) = (one for one in container(rendered.gateway)["volumeMounts"] if one["name"] == "keys")
    assert mount == {"name": "keys", "mountPath": "/etc/vitrail/keys", "readOnly": True}
    (volume,) = (one for one in rendered.gateway["volumes"] if one["name"] == "keys")
    assert volume["secret"] == {"secretName": "keys", "defaultMode": 0o440}


def test_the_admin_key_comes_from_a_secret() -> None:
    """As a variable that refers to it."""
    rendered = render(nested("security.adminKey.secret", "admin"))
    (variable,) = container(rendered.gateway)["env"]
    assert variable == {
        "name": "VITRAIL_ADMIN_KEY",
        "valueFrom": {"secretKeyRef": {"name": "admin", "key": "admin-key"}},
    }


def test_tls_is_for_all_who_ask() -> None:
    """The service has the Secret's files, the probes ask by HTTPS, the Services say so."""
    rendered = render(TLS)
    gateway = container(rendered.gateway)
    assert rendered.settings["VITRAIL_TLS_CERTIFICATE"] == "/etc/vitrail/tls/tls.crt"
    assert rendered.settings["VITRAIL_TLS_KEY"] == "/etc/vitrail/tls/tls.key"
    assert "VITRAIL_TLS_CLIENT_CA" not in rendered.settings
    assert {gateway[f"{probe}Probe"]["httpGet"]["scheme"] for probe in ("startup", "readiness", "liveness")} == {
        "HTTPS"
    }
    assert {port["appProtocol"] for one in rendered.all("Service").values() for port in one["spec"]["ports"]} == {
        "https"
    }


def test_probes_bring_a_certificate_where_callers_must() -> None:
    """The kubelet has none, so a script of the chart asks from within."""
    rendered = render(MUTUAL)
    gateway = container(rendered.gateway)
    assert rendered.settings["VITRAIL_TLS_CLIENT_CA"] == "/etc/vitrail/tls/ca.crt"
    assert gateway["readinessProbe"]["exec"]["command"] == ["python", "/scripts/ask_health.py", "/readyz"]
    assert gateway["livenessProbe"]["exec"]["command"] == ["python", "/scripts/ask_health.py", "/healthz"]
    assert {"client-tls", "scripts"} <= {mount["name"] for mount in gateway["volumeMounts"]}


def test_the_admin_port_stands_apart() -> None:
    """With it the service has a third port, and a Service for that alone; without it neither."""
    rendered = render()
    assert rendered.settings["VITRAIL_ADMIN_PORT"] == "8002"
    assert [port["targetPort"] for port in rendered.one("Service", f"{FULLNAME}-admin")["spec"]["ports"]] == ["admin"]
    without = render(nested("security.adminPort.enabled", False))
    assert "VITRAIL_ADMIN_PORT" not in without.settings
    assert not without.has("Service", f"{FULLNAME}-admin")


@pytest.mark.parametrize(
    ("create", "name", "used"), [(True, "", FULLNAME), (True, "mine", "mine"), (False, "", "default")]
)
def test_the_account(*, create: bool, name: str, used: str) -> None:
    """The pods' account is the release's own or the one named, and has no token either way."""
    rendered = render({"serviceAccount": {"create": create, "name": name}})
    assert rendered.gateway["serviceAccountName"] == used
    assert rendered.has("ServiceAccount", used) is create
    assert all(one["automountServiceAccountToken"] is False for one in rendered.all("ServiceAccount").values())


def test_the_cluster_may_choose_the_user() -> None:
    """Without numbers of ours the pods still may not be root."""
    security = render({"userId": None}).gateway["securityContext"]
    assert security == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_tests_bring_what_the_service_asks_for() -> None:
    """Certificate, authority and key are mounted, none of them in a variable; the server's own key is not."""
    rendered = render(merged(MUTUAL, SWITCHES["keys"]["file"]))
    for pod in rendered.all("Pod").values():
        variables = {one["name"]: one["value"] for one in container(pod["spec"])["env"]}
        assert variables["CA_FILE"] == "/tls/ca.crt"
        assert variables["CLIENT_KEY"] == "/client-tls/tls.key"
        assert variables["KEY_FILE"] == "/key/key"
        (tls,) = (one["secret"] for one in pod["spec"]["volumes"] if one["name"] == "tls")
        assert (tls["items"], tls["optional"]) == ([{"key": "ca.crt", "path": "ca.crt"}], True)
