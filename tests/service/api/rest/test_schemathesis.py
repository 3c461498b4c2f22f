"""The service does what its OpenAPI document says, whatever is sent: schemathesis makes requests of the document."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis import Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from tests.end_to_end.gateway import Gateway, gateway
from tests.service.api.rest.sensible_requests import STREAMS, TASK_ROUTES, VIDEOS, Sense, breaks_nothing
from tests.service.tiny_tasks import write_tiny_repository
from tests.tiny_models import write_version

EXAMPLES = int(os.environ.get("VITRAIL_FUZZ_EXAMPLES", "10"))
"""Requests at random for each operation, beside those at the document's bounds; `make fuzz-api` sends more."""
SEED = int(os.environ.get("VITRAIL_FUZZ_SEED", "20"))
"""Of the random ones: they are the same in every run that has the same."""

CONFIG: dict[str, Any] = {
    "seed": SEED,
    # Nothing is to be remembered from one run to the next.
    "cache": {"enabled": False},
    "continue-on-failure": True,
    "generation": {"max-examples": EXAMPLES, "no-shrink": True, "database": "none"},
    # They judge how fast and how varied the requests are that a schema gives rise to, not the service.
    "suppress-health-check": ["all"],
    "checks": {
        # A deadline that has passed is told by 504 on purpose.
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 504]},
    },
    # Names come from `Sense`; looking for some in all the answers so far would take longer with each of them.
    "phases": {"fuzzing": {"extra-data-sources": {"responses": False}}},
    "operations": [
        {
            # Shares may name aliases that the model does not have; the version of an alias is not unloaded.
            "include-path-regex": "(/traffic|:unload)$",
            "include-tag": "admin",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 401, 403, 404, 409, 422]}},
        },
        {
            # Not every parameter goes with every task, nor every address with the service; and jobs may be too many.
            "include-path-regex": f"^({VIDEOS}|{STREAMS})$",
            "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", 403, 404, 409, 422, 429]}},
        },
        {
            # A job has one only if it was asked for.
            "include-path-regex": "/annotated.mp4$",
            "checks": {"ensure_resource_availability": {"enabled": False}},
        },
    ],
}


@dataclass
class Findings:
    """What a run has found."""

    cases: int = 0
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    """How often each status was answered, by operation."""
    failures: dict[str, str] = field(default_factory=dict)
    """What was wrong and a request that shows it, by operation and check."""

    def add(self, recorder: ScenarioRecorder) -> None:
        """Take in what was sent to one operation, or along one chain of them."""
        self.cases += len(recorder.cases)
        operations = {identity: node.value.operation.label for identity, node in recorder.cases.items()}
        for identity, interaction in recorder.interactions.items():
            if interaction.response is not None:
                counter = self.statuses.setdefault(operations[identity], Counter())
                counter[interaction.response.status_code] += 1
        for identity, checks in recorder.checks.items():
            for check in checks:
                if found := check.failure_info:
                    text = f"{found.failure.title}: {found.failure.message}\n{found.code_sample}"
                    self.failures.setdefault(f"{operations[identity]}, {check.name}", text)


def run(served: Gateway, without: list[str], **config: Any) -> Findings:
    """Send to all operations but those of some tags whatever they could be sent, and take in what comes back."""
    settings = SchemathesisConfig.from_dict(CONFIG | config)
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json", config=settings).exclude(tag=without)

    sense = Sense()

    @schema.hook
    def filter_case(context: HookContext, case: Case) -> bool:
        del context
        return not breaks_nothing(case)

    @schema.hook
    def map_case(context: HookContext, case: Case) -> Case:
        del context
        return sense.give(case)

    findings = Findings()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            findings.add(event.recorder)
        elif isinstance(event, events.NonFatalError):
            findings.failures[f"{event.label}, {event.phase}"] = event.info.format()
        elif isinstance(event, events.FatalError):
            raise event.exception
    return findings


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Gateway]:
    """A service over a repository of its own, with a model to spare."""
    root = folder / "repository"
    root.mkdir()
    write_tiny_repository(root)
    for version in (1, 2):
        write_version(root, "spare", version)
    with gateway(root, folder / "log", grpc_port=0, **settings) as served:
        yield served


@pytest.fixture(scope="module")
def of_answers(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """All that changes nothing was sent."""
    with serving(tmp_path_factory.mktemp("answers")) as served:
        return run(served, ["admin"])


@pytest.fixture(scope="module")
def of_changes(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """All that changes something was sent, to a service that wants a key for it."""
    with serving(tmp_path_factory.mktemp("changes"), admin_key="sesame") as served:
        key = {"openapi": {"adminKey": {"bearer": "sesame"}}}
        return run(served, ["tasks", "videos", "live streams", "open inference protocol", "health"], auth=key)


@pytest.mark.parametrize("run_of", ["of_answers", "of_changes"])
def test_the_service_keeps_to_its_document(request: pytest.FixtureRequest, run_of: str) -> None:
    """No answer is other than the document says, and no request that breaks its rules is taken."""
    findings: Findings = request.getfixturevalue(run_of)
    assert not findings.failures, "\n\n".join(f"{where}: {what}" for where, what in findings.failures.items())


@pytest.mark.parametrize("route", TASK_ROUTES)
def test_every_task_is_reached(of_answers: Findings, route: str) -> None:
    """Some of the requests are answered by a model, and some are refused."""
    statuses = of_answers.statuses[f"POST {route}"]
    assert statuses[200] > 3
    assert statuses[422] > 3


def test_videos_are_taken_in(of_answers: Findings) -> None:
    """Some of the requests are jobs, and some are refused."""
    statuses = of_answers.statuses[f"POST {VIDEOS}"]
    assert statuses[202] > 3
    assert statuses[422] > 3
