"""helm/alerts: each alert fires when it should and only then, says what it must, asks for what the service gives."""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from contract.task import Task
from service.api.grpc.errors import CODES
from service.api.rest.problems import STATUS
from service.errors import ErrorKind
from service.registry.version import VersionState
from service.settings import Settings
from service.telemetry import Telemetry
from service.telemetry.account import Transport
from service.video.job import JobState

PROJECT = Path(__file__).parents[2]
RULES = sorted((PROJECT / "helm/alerts").glob("*.yaml"))
TESTS = sorted((PROJECT / "tests/deployment/alerts").glob("*.yaml"))
RUNBOOKS = PROJECT / "docs/runbooks"
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool: `apt-get install prometheus`")

_OTHERS = {"up", "process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
"""What Prometheus itself and prometheus_client's own collectors give."""
_ENDINGS = {
    "counter": ("",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum"),
}
_NAME = re.compile(r"(?<![\w:])(?:\w+:)?(?:vitrail|process)_\w+(?::\w+)?")
_SELECTOR = re.compile(r"(vitrail_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!~|=|!=)"([^"]*)"')


class Rule(NamedTuple):
    """A rule, and the group that it is in."""

    body: dict[str, Any]
    group: dict[str, Any]

    @property
    def alert(self) -> str:
        """Its name; empty for a rule that records."""
        return str(self.body.get("alert", ""))

    @property
    def identity(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """Its name and labels, which no other rule has together."""
        return self.alert, frozenset(self.body["labels"].items())

    @property
    def runbook(self) -> Path:
        """The page that its name asks for: VitrailGatewayDown → gateway_down.md."""
        words = re.findall(r"[A-Z][a-z]+", self.alert.removeprefix("Vitrail"))
        return RUNBOOKS / f"{'_'.join(words).lower()}.md"


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


ALL = [Rule(body, group) for path in RULES for group in _read(path)["groups"] for body in group["rules"]]
ALERTS = [rule for rule in ALL if rule.alert]
RECORDED = {rule.body["record"] for rule in ALL if not rule.alert}
names = pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: "-".join([rule.alert, *rule.body["labels"].values()]))


class Shown(NamedTuple):
    """What a test of promtool expects of an alert at one moment."""

    alert: str
    firing: list[dict[str, str]]


def _shown() -> Iterator[Shown]:
    for path in TESTS:
        for test in _read(path)["tests"]:
            for check in test["alert_rule_test"]:
                yield Shown(check["alertname"], [firing["exp_labels"] for firing in check["exp_alerts"]])


SHOWN = list(_shown())


def _run(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def given() -> dict[str, frozenset[str]]:
    """The labels of every series that the service gives, by its name."""
    labels = {}
    for metric in Telemetry().declaration.metrics:
        for ending in _ENDINGS[metric.kind]:
            labels[metric.name + ending] = frozenset([*metric.labels, *(["le"] if ending == "_bucket" else [])])
    return labels


@needs_promtool
def test_the_rules_are_rules() -> None:
    """Prometheus can read all of them."""
    _run("check", "rules", *RULES)


@needs_promtool
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(path: Path) -> None:
    """Each alert fires on its bad series, with the texts that are written there, and on no good one."""
    _run("test", "rules", path)


@needs_promtool
def test_prometheus_of_the_compose_file_loads_them(tmp_path: Path) -> None:
    """Its configuration is valid, and finds the rules in the folder beside it."""
    shutil.copy(PROJECT / "deploy/prometheus.yml", tmp_path)
    shutil.copytree(PROJECT / "helm/alerts", tmp_path / "alerts")
    _run("check", "config", tmp_path / "prometheus.yml")


def test_the_configuration_names_the_folder() -> None:
    """The rules are looked for beside the configuration, in a folder that docker-compose.yml can mount there."""
    assert _read(PROJECT / "deploy/prometheus.yml")["rule_files"] == ["alerts/*.yaml"]
    assert len(RULES) == 5


@names
def test_it_is_shown_to_fire_and_not_to(rule: Rule) -> None:
    """There is a bad series on which the alert fires with these labels, and a good one on which it does not."""
    of_it = [shown for shown in SHOWN if shown.alert == rule.alert]
    assert any(rule.body["labels"].items() <= firing.items() for shown in of_it for firing in shown.firing)
    assert any(not shown.firing for shown in of_it)


@names
def test_it_says_what_it_must(rule: Rule) -> None:
    """An alert has one of two severities, a summary, and a description with what was measured or where."""
    assert rule.body["labels"]["severity"] in {"page", "ticket"}
    texts = rule.body["annotations"]
    assert set(texts) == {"summary", "description", "runbook"}
    assert "$value" in texts["description"] or rule.body["expr"].startswith(("absent", "group", "vitrail_build_info"))
    assert not texts["summary"].endswith(".")
    assert texts["description"].endswith(".")


@names
def test_it_has_a_runbook(rule: Rule) -> None:
    """The page exists under the alert's own name, begins with it, and is in the list of runbooks."""
    path = rule.runbook
    assert rule.body["annotations"]["runbook"] == str(path.relative_to(PROJECT))
    text = path.read_text()
    assert text.startswith(f"# {rule.alert}\n")
    places = [text.find(f"**{heading}") for heading in ("Callers", "Look first", "Usual causes", "What to do", "Over")]
    assert -1 not in places
    assert places == sorted(places)
    assert f"| [{rule.alert}]({path.name}) |" in (RUNBOOKS / "README.md").read_text()


def test_no_runbook_is_left_over() -> None:
    """Every runbook belongs to an alert, and no two rules have the same name and labels."""
    assert {path.name for path in RUNBOOKS.glob("*.md")} == {rule.runbook.name for rule in ALERTS} | {"README.md"}
    assert len({rule.identity for rule in ALERTS}) == len(ALERTS)


def test_rules_ask_for_what_there_is(given: dict[str, frozenset[str]]) -> None:
    """Every metric in a rule is one that the service gives, one that a rule records, or of prometheus_client."""
    asked = {name for rule in ALL for name in _NAME.findall(rule.body["expr"])}
    assert asked - set(given) - RECORDED - _OTHERS == set()


def test_runbooks_ask_for_what_there_is(given: dict[str, frozenset[str]]) -> None:
    """So is every metric in a runbook, and every flag in one is a setting."""
    text = "\n".join(path.read_text() for path in RUNBOOKS.glob("*.md"))
    families = {re.sub("_(bucket|count|sum)$", "", name) for name in given}
    assert set(_NAME.findall(text)) - set(given) - families - RECORDED - _OTHERS == set()
    flags = {flag.replace("-", "_") for flag in re.findall(r"`--([a-z-]+)", text)}
    assert flags - set(Settings.model_fields) == set()


def test_what_is_recorded_is_written_down() -> None:
    """docs/alerts.md has a table of all that the rules record, in which braces stand for several names."""
    rows = re.findall(r"^\| (`\w+:vitrail_[^|]*) \|", (PROJECT / "docs/alerts.md").read_text(), re.MULTILINE)
    patterns = [pattern for row in rows for pattern in re.findall("`([^`]*)`", row)]
    parts = [[part.split(",") for part in re.split("[{}]", pattern)] for pattern in patterns]
    assert {"".join(one) for choices in parts for one in product(*choices)} == RECORDED


def test_matchers_can_match(given: dict[str, frozenset[str]]) -> None:
    """A label that a rule asks for is one of that metric, and its value one that the service writes."""
    values: dict[str, Collection[str]] = {
        "reason": set(ErrorKind),
        "transport": set(Transport),
        "outcome": set(VersionState) | {"processed", "carried", "skipped", "dropped"},
        "state": set(JobState),
        "task": set(Task),
        "code": {str(status) for status in STATUS.values()} | {code.name for code in CODES.values()} | {"200", "OK"},
    }
    for name, matchers in (found for rule in ALL for found in _SELECTOR.findall(rule.body["expr"])):
        for label, _, value in _MATCHER.findall(matchers):
            assert label in given[name], (name, label)
            parts = value.split("|") if value else []
            assert all(any(re.fullmatch(part, one) for one in values.get(label, {part})) for part in parts), value


def test_what_counts_as_a_fault_of_ours() -> None:
    """Errors are the kinds with a status of 5xx, less the deadline, which is the caller's own, and the full disk."""
    (expr,) = [rule.body["expr"] for rule in ALL if rule.body.get("record") == "task:vitrail_errors:rate5m"]
    (reasons,) = re.findall('reason=~"([^"]*)"', expr)
    failures = {kind for kind, status in STATUS.items() if status >= 500}
    assert set(reasons.split("|")) == failures - {ErrorKind.DEADLINE_EXCEEDED, ErrorKind.STORAGE_FULL}


def test_the_latency_objective_is_a_bucket() -> None:
    """The threshold is one for which the service counts; the default of 0.25 s."""
    telemetry = Telemetry()
    telemetry.durations.labels("classify", "a", "1", "rest")
    thresholds = set(re.findall('le="([^"]*)"', "\n".join(rule.body["expr"] for rule in ALL)))
    assert thresholds == {"0.25"}
    assert 'vitrail_request_seconds_bucket{le="0.25"' in telemetry.exposition()[0].decode()


def test_budgets_burn_over_two_windows() -> None:
    """Factors and windows are the workbook's; each rule looks at its own windows, one budget, and ten bad requests."""
    told = {("14.4", "1h", "5m"), ("6", "6h", "30m"), ("3", "1d", "2h"), ("1", "3d", "6h")}
    found: dict[str, set[tuple[str, str, str]]] = {}
    for rule in (rule for rule in ALERTS if "long" in rule.body["labels"]):
        long, short = rule.body["labels"]["long"], rule.body["labels"]["short"]
        burning = re.findall(r"(\w+):ratio_rate(\w+) > \(([\d.]+) \* ([\d.]+)\)", rule.body["expr"])
        ((bad, *_), *_) = burning
        (factor, budget), *others = {(factor, budget) for *_, factor, budget in burning}
        assert ([window for _, window, *_ in burning], others) == ([long, short], [])
        assert budget == {"vitrail_errors": "0.001", "vitrail_slow": "0.01"}[bad]
        assert f"sum_over_time(task:{bad}:rate5m[{long}]) * 30 >= 10" in rule.body["expr"]
        found.setdefault(rule.alert, set()).add((factor, long, short))
    assert found == {"VitrailAvailabilityBudgetBurns": told, "VitrailLatencyBudgetBurns": told}


def test_requests_are_counted_as_often_as_they_are_recorded() -> None:
    """The factor 30 in the alerts is the interval of what they sum."""
    intervals = {
        rule.group["interval"] for rule in ALL if rule.body.get("record", "").endswith((":rate5m", "ratio_rate1h"))
    }
    assert intervals == {"30s"}
