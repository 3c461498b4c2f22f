"""Checkov's policies for Kubernetes, over renderings that hold every object; what is not obeyed stands here with why.

Checkov wants libraries that nothing else here goes with, so it lives in an environment of its own: `make policies`
makes .venv/checkov, VITRAIL_CHECKOV names another one's program.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.chart import FOLDER, NAMESPACE, Rendered, merged, render
from tests.helm.switches import values

CHECKOV = Path(os.environ.get("VITRAIL_CHECKOV", FOLDER.parent / ".venv" / "checkov" / "bin" / "checkov"))

pytestmark = pytest.mark.skipif(not CHECKOV.is_file(), reason="there is no checkov: `make policies`")

# A release's tag is good enough for a start, so values.yaml has no digests; those who want them set them.
DIGEST = {"digest": f"sha256:{'0123456789abcdef' * 4}"}
DIGESTS = {"images": dict.fromkeys(("gateway", "builder", "triton", "oras", "rclone"), DIGEST)}

EVERYTHING = {
    "engine": "triton", "build": "on", "build egress": "on", "gateway scaling": "hpa", "triton scaling": "keda",
    "ingress http": "on", "ingress grpc": "on", "route http": "on", "route grpc": "on", "monitor": "on", "rules": "on",
    "keys": "file", "tls": "mutual", "adapter": "on",
}  # fmt: skip
RENDERINGS: Mapping[str, Mapping[str, str]] = {
    "everything": EVERYTHING,
    "artifact": {"engine": "triton", "repository": "oci", "videos": "persistent"},
    "store": {"repository": "store", "tests": "off", "keys": "admin"},
}

NOT_OBEYED = {
    # The pods of `helm test` run to their end and serve nobody.
    ("CKV_K8S_8", "Pod"),
    ("CKV_K8S_9", "Pod"),
    # security.adminKey, off by default: the service reads that key from a variable. The keys file is a file.
    ("CKV_K8S_35", "Deployment"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of all renderings, each image with a digest."""
    folder = tmp_path_factory.mktemp("rendered")
    for name, choice in RENDERINGS.items():
        (folder / f"{name}.yaml").write_text(_as_installed(render(merged(values(choice), DIGESTS))))
    command = [
        str(CHECKOV),
        "--directory",
        str(folder),
        "--framework",
        "kubernetes",
        "--output",
        "json",
        "--skip-download",
    ]
    done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, timeout=240, check=False)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _as_installed(rendered: Rendered) -> str:
    """As YAML, in the namespace that Helm puts it into."""
    placed = [merged(one, {"metadata": {"namespace": NAMESPACE}}) for one in rendered.objects]
    return yaml.safe_dump_all(placed)


def test_the_policies_are_obeyed(report: dict[str, Any]) -> None:
    """Every policy of checkov holds for every object, but for those that are listed with a reason."""
    failed = {(one["check_id"], one["resource"].partition(".")[0]) for one in report["results"]["failed_checks"]}
    assert failed == NOT_OBEYED
    assert report["summary"]["parsing_errors"] == 0


def test_all_was_looked_at(report: dict[str, Any]) -> None:
    """Checkov read every object that Kubernetes itself knows, with a thousand checks at least."""
    assert report["summary"]["passed"] > 1000
    assert report["summary"]["resource_count"] > 40
