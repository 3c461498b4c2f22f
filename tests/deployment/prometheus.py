"""A real Prometheus on loopback, with a folder of its own; where none is installed, what needs it is skipped."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

SCRAPE_S = 1
_PATIENCE_S = 60


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    client: httpx.Client
    log: Path
    begun: float = field(default_factory=time.time)
    """Unix seconds before which it knows nothing."""

    def get(self, path: str, **query: object) -> Any:
        """What its HTTP API answers: https://prometheus.io/docs/prometheus/latest/querying/api/."""
        told = self.client.get(f"/api/v1/{path}", params={name: str(value) for name, value in query.items()}).json()
        assert told["status"] == "success", f"{query}: {told.get('error')}"
        return told["data"]

    def now(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The value of each series of an instant vector, by its labels."""
        found = self.get("query", query=expression)["result"]
        return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}

    def numbers(self, expression: str, *, instant: bool = False) -> int:
        """How many values an expression has had since the start, or has now; what is no number does not count."""
        if instant:
            series = [[one["value"]] for one in self.get("query", query=expression)["result"]]
        else:
            span = {"start": self.begun, "end": time.time(), "step": SCRAPE_S}
            series = [one["values"] for one in self.get("query_range", query=expression, **span)["result"]]
        return sum(value not in {"NaN", "+Inf", "-Inf"} for values in series for _, value in values)

    def labels(self, label: str, series: str) -> list[str]:
        """The values of a label in the series that match."""
        span = {"start": self.begun, "end": time.time()}
        found: list[str] = self.get(f"label/{label}/values", **span, **{"match[]": series})
        return found

    def exemplars(self, expression: str) -> list[dict[str, str]]:
        """The labels of the exemplars that stand beside the series of an expression."""
        found = self.get("query_exemplars", query=expression, start=self.begun, end=time.time())
        return [one["labels"] for series in found for one in series["exemplars"]]

    def scraped(self, job: str) -> float:
        """When a job was asked for its metrics last, in Unix seconds."""
        return max(self.now(f'timestamp(up{{job="{job}"}})').values(), default=0.0)

    def last_error(self) -> str:
        """What was wrong with the last scrape of the one target there is; empty if nothing was."""
        (target,) = self.get("targets", state="active")["activeTargets"]
        error: str = target["lastError"]
        return error

    def until(self, met: Callable[[], bool], what: str) -> None:
        """Wait until something has been scraped, or recorded."""
        end = time.monotonic() + _PATIENCE_S
        while not met():
            assert time.monotonic() < end, f"not in {_PATIENCE_S} s: {what}\n{self.log.read_text()[-2000:]}"
            time.sleep(0.1)


def found(program: str) -> str:
    """Where a program of Debian's package ``prometheus`` is; without it, the test is skipped."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: `apt-get install prometheus`")
    return path


@contextmanager
def prometheus(targets: Mapping[str, str], folder: Path, *rules: Path) -> Iterator[Prometheus]:
    """Scrape each target, a host and port by the name of its job, every second.

    Args:
        targets: the jobs.
        folder: an empty one for its data, its configuration and its log.
        rules: files of rules.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "scrape_timeout": f"{SCRAPE_S}s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in targets.items()],
        "rule_files": [str(path) for path in rules],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    command = [
        found("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as process,
        httpx.Client(base_url=f"http://{address}", timeout=_PATIENCE_S) as client,
    ):
        running = Prometheus(client, log)
        try:
            running.until(lambda: _ready(client, process), "Prometheus is ready")
            yield running
        finally:
            process.kill()


def _ready(client: httpx.Client, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, f"Prometheus ended with {process.returncode}"
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def quickened(rules: Path, folder: Path) -> Path:
    """A copy of a file of rules whose groups are evaluated every second."""
    document = yaml.safe_load(rules.read_text())
    for group in document["groups"]:
        group["interval"] = "1s"
    copy = folder / rules.name
    copy.write_text(json.dumps(document))
    return copy
