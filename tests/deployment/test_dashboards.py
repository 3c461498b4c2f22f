"""Grafana's dashboards: that they are what the code makes, that they are whole, and that they can be read."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.dashboards import DASHBOARDS
from deploy.dashboards.board import as_json
from deploy.dashboards.colours import STAGES as COLOURS
from service.telemetry import STAGES
from service.telemetry.metrics import Telemetry
from tests.deployment.grafana import FOLDER, at_first, boards, panels, queries, replaced, values_query, variables
from tests.deployment.prometheus import found

PROJECT = Path(__file__).parents[2]
OF_GRAFANA = {"__rate_interval": "1m", "__range": "30m", "__interval": "15s"}
LABELS_OF_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture(scope="module", params=[board.name for board in DASHBOARDS])
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each dashboard that is committed."""
    (found,) = [one for one in boards() if one["uid"] == f"vitrail-{request.param}"]
    return found


def test_the_files_are_what_the_code_makes() -> None:
    """Each dashboard's file is the text that the code makes of it, and there is no other file."""
    made = {f"{board.name}.json": as_json(board) for board in DASHBOARDS}
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == made


def test_the_command_writes_the_same_again(tmp_path: Path) -> None:
    """`python -m deploy.dashboards` writes, in another process too, byte for byte what is committed."""
    subprocess.run([sys.executable, "-m", "deploy.dashboards", str(tmp_path)], cwd=PROJECT, check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in FOLDER.iterdir()
    }


def test_every_panel_says_what_it_shows(board: dict[str, Any]) -> None:
    """It has a title of its own, a unit, a description in whole sentences, and the chosen source of data."""
    titles = Counter(panel["title"] for panel in panels(board))
    assert set(titles.values()) == {1}, titles
    for panel in panels(board):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert re.fullmatch(r"\S.{10,}\.", panel["description"]), panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_every_panel_has_its_place(board: dict[str, Any]) -> None:
    """Its number is its own, it is within the grid, and lies upon no other."""
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_query_has_its_name(board: dict[str, Any]) -> None:
    """In a panel no two queries have one name; each asks for something, and says how its lines are called."""
    for panel in panels(board):
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names) > 0
        assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


def test_the_variables(board: dict[str, Any]) -> None:
    """The source comes first; what is used is there, what is there is used; at first all values are chosen."""
    names = list(variables(board))
    assert names[0] == "datasource"
    asked = "".join(target["expr"] for panel in panels(board) for target in panel["targets"])
    asked += "".join(str(variable.get("query")) for variable in variables(board).values())
    used = {name for name in re.findall(r"\$(\w+)", asked) if not name.startswith("__")}
    assert used == set(names) - {"datasource"}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            assert (variable["includeAll"], variable["multi"], variable["allValue"]) == (True, True, ".*")
            assert variable["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_addresses_are_those_of_dashboards() -> None:
    """No two have one address or title; all carry the tag by which they find each other; every link leads to one."""
    all_boards = boards()
    addresses = {board["uid"] for board in all_boards}
    assert len(addresses) == len({board["title"] for board in all_boards}) == len(all_boards) == len(DASHBOARDS)
    for board in all_boards:
        (link,) = board["links"]
        assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
            "dashboards", ["vitrail"], True, True,
        )  # fmt: skip
        assert board["tags"] == ["vitrail"]
    urls = re.findall(r'"url": "/d/([\w-]+)\?', "".join(path.read_text() for path in FOLDER.iterdir()))
    assert len(urls) >= 4
    assert set(urls) <= addresses


def test_a_stage_has_one_colour() -> None:
    """Each stage of a request has a colour of its own, the same wherever its name is a line's."""
    assert tuple(COLOURS) == tuple(STAGES)
    assert len(set(COLOURS.values())) == len(COLOURS)
    painted = 0
    for board in boards():
        for panel in panels(board):
            for override in panel["fieldConfig"]["overrides"]:
                name = override["matcher"]["options"]
                colours = [
                    change["value"]["fixedColor"] for change in override["properties"] if change["id"] == "color"
                ]
                if name in COLOURS and colours:
                    painted += 1
                    assert colours == [COLOURS[name]], panel["title"]
    assert painted >= 5 * len(COLOURS)


def test_traces_stand_in_the_panels_of_latency() -> None:
    """Exemplars are asked for by the percentiles of whole requests, wherever these are, and by nothing else."""
    with_traces = {
        (board["uid"], target["expr"])
        for board in boards()
        for panel in panels(board)
        for target in panel["targets"]
        if target.get("exemplar")
    }
    assert {uid for uid, _ in with_traces} == {
        f"vitrail-{name}" for name in ("overview", "latency", "versions", "video")
    }
    assert all("vitrail_request_seconds_bucket" in expression for _, expression in with_traces)


def test_every_metric_and_label_is_the_services() -> None:
    """A query names only metrics that the service declares, and chooses and groups by labels that these have."""
    declared = {metric.name: {*metric.labels, *LABELS_OF_PROMETHEUS} for metric in Telemetry().declaration.metrics}
    for asked in queries():
        for name, where in re.findall(r"(vitrail_\w+)\{(.*?)\}", asked.expression):
            series = name if name in declared else re.sub("_(bucket|sum|count)$", "", name)
            assert series in declared, f"{asked}: {name}"
            labels = set(re.findall(r"(\w+) *(?:=~|!~|!=|=)", where))
            assert labels <= declared[series], f"{asked}: {labels - declared[series]} of {name}"


def test_every_metric_is_shown() -> None:
    """What the service declares stands in a panel; the one exception tells which instances there are to choose from."""
    shown = {name for asked in queries() for name in asked.metrics}
    assert {metric.name for metric in Telemetry().declaration.metrics} - shown == {"vitrail_build_info"}


def test_every_query_parses(tmp_path: Path) -> None:
    """Prometheus' own tool reads each, and those of the variables, with the variables replaced."""
    expressions = []
    for board in boards():
        values = at_first(board) | OF_GRAFANA
        expressions += [replaced(asked.expression, values) for asked in queries() if asked.board == board["title"]]
        asking = [variable for variable in variables(board).values() if variable["type"] == "query"]
        expressions += [replaced(values_query(variable)[0], values) for variable in asking]
    rules = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(expressions)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    command = [found("promtool"), "check", "rules", "--lint=none", str(tmp_path / "rules.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(expressions)} rules found" in done.stdout


def test_grafana_opens_with_the_overview() -> None:
    """Compose mounts the folder of the dashboards, and the first page is one of them."""
    grafana = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["grafana"]
    (provider,) = yaml.safe_load((PROJECT / "deploy/grafana/provisioning/dashboards/vitrail.yml").read_text())[
        "providers"
    ]
    where = provider["options"]["path"]
    assert f"./helm/dashboards:{where}:ro" in grafana["volumes"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (FOLDER / Path(home).relative_to(where)).is_file()


def test_a_trace_has_an_address() -> None:
    """A click on a request with a trace leads to an address that Compose says, with the trace's id behind it."""
    grafana = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]["grafana"]
    sources = yaml.safe_load((PROJECT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    (destination,) = sources["datasources"][0]["jsonData"]["exemplarTraceIdDestinations"]
    assert (destination["name"], destination["url"]) == ("trace_id", "${TRACE_URL}$${__value.raw}")
    assert re.fullmatch(r"\$\{VITRAIL_TRACE_URL:-http://\S+/\}", grafana["environment"]["TRACE_URL"])


def test_the_rates_interval_is_that_of_the_scrapes() -> None:
    """Grafana counts with the interval at which Prometheus scrapes; a shorter window would show holes."""
    sources = yaml.safe_load((PROJECT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    scraped = yaml.safe_load((PROJECT / "deploy/prometheus.yml").read_text())["global"]["scrape_interval"]
    assert sources["datasources"][0]["jsonData"]["timeInterval"] == scraped
