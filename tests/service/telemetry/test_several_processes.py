"""Processes that share a folder of metrics tell the figures of all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

_GATEWAY = """
import sys
from service.telemetry import Telemetry, Transport

telemetry = Telemetry()
version = telemetry.of_version("classify", "colours", 1)
for _ in range(int(sys.argv[1])):
    telemetry.account(Transport.REST, "classify", "id", {}).answered(version, "stable", "200", 2)
telemetry.in_flight.set(int(sys.argv[1]))
telemetry.ready.labels("colours", "1").set(1)
print(telemetry.exposition()[0].decode(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """What the second of two processes tells while both live, by name of the sample."""
    folder: Path = tmp_path_factory.mktemp("metrics")
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    found: dict[str, float] = {}
    running = []
    for requests in ("3", "4"):
        process = subprocess.Popen(
            [sys.executable, "-c", _GATEWAY, requests],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert process.stdout is not None
        text = "".join(iter(process.stdout.readline, "# EOF\n")) + "# EOF\n"
        found = {
            sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples
        }
    for process in running:
        process.communicate(timeout=30)
    return found


def test_counters_add_up(told: dict[str, float]) -> None:
    """Requests and images of both processes are in one figure."""
    assert told["vitrail_requests_total"] == 7
    assert told["vitrail_images_total"] == 14
    assert told["vitrail_request_seconds_count"] == 7


def test_gauges_are_what_they_mean(told: dict[str, float]) -> None:
    """Images in flight add up; that a version is ready is no sum."""
    assert told["vitrail_images_in_flight"] == 7
    assert told["vitrail_version_ready"] == 1
