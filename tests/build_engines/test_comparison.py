"""`report`: one page that stands alone and hides nothing."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from build_engines.commands import compare
from build_engines.comparison.page import page
from build_engines.comparison.rows import NothingToCompare, Row, groups, read_rows
from contract.card import Evaluation, Figures, Measurement, Plan, Tuning
from contract.repository import Repository
from tests.cards import a_card, a_provenance
from tests.tiny_models import write_version

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(compare.command)


def run(*arguments: str) -> Result:
    """The command, in this process."""
    return CliRunner().invoke(app, list(arguments))


def score(value: float, metric: str = "top1", dataset: str = "flowers") -> Evaluation:
    """A figure of merit."""
    return Evaluation(metric=metric, value=value, dataset=dataset, images=10, evaluated_at=NOW)


def a_tuning(milliseconds: float) -> Tuning:
    """One caller, one image, and two callers with fours."""
    alone, busy = (
        Measurement(
            batch_size=size,
            callers=callers,
            threads=1,
            latency_p50_ms=milliseconds,
            latency_p99_ms=99,
            images_per_second=speed,
        )
        for size, callers, speed in ((1, 1, 50.0), (4, 2, 123.4))
    )
    return Tuning(machine="Quick 9000, 2 CPUs", measurements=(busy, alone), tuned_at=NOW)


def a_row(name: str, **changes: Any) -> Row:
    """A trained version that was evaluated and tuned, with ``changes`` of its card."""
    fields = {
        "provenance": a_provenance(trained=True),
        "evaluation": (score(0.75), score(0.9, "top5")),
        "tuning": a_tuning(12.5),
        **changes,
    }
    return Row(a_card(name=name, **fields), megabytes=18.6)


class Elements(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += " ".join(data.split()) + " "


def test_the_page_has_every_version() -> None:
    """Accuracy, latency, throughput and size of each version stand in the table."""
    words = Elements(page([a_row("one"), a_row("two", tuning=None)], [], NOW)).words
    for told in ("one:1", "two:1", "top1 0.7500", "12.50", "123.4", "18.6", "Quick 9000, 2 CPUs", "not tuned"):
        assert told in words


def test_the_page_stands_alone() -> None:
    """Nothing is fetched: no script, no style sheet, no picture, and no address but names of XML's spaces."""
    text = page([a_row("one")], [], NOW)
    found = Elements(text).tags
    assert {tag for tag, _ in found}.isdisjoint({"script", "link", "img", "iframe", "image"})
    spaces = {'"http://www.w3.org/2000/svg"', '"http://www.w3.org/1999/xlink"'}
    for space in spaces:
        text = text.replace(space, "")
    assert "http" not in text
    assert "@import" not in text


def test_plots_can_be_read_without_seeing() -> None:
    """Each metric has two plots, each with a role, a title and a description of its points."""
    found = Elements(page([a_row("one"), a_row("two")], [], NOW))
    plots = [attributes for tag, attributes in found.tags if tag == "svg"]
    assert [plot.get("role") for plot in plots] == ["img", "img"]
    assert "top1 on flowers against latency of one image, ms (p50)" in found.words
    assert "one:1: 0.75 at 12.5; two:1: 0.75 at 12.5" in found.words


def test_plots_follow_the_pages_colours() -> None:
    """Nothing in a plot is black or white for itself: text, lines and marks have the page's colours."""
    text = page([a_row("one"), a_row("two", provenance=a_provenance(trained=False))], [], NOW)
    plots = text[text.index("<svg") :]
    assert all(colour in plots for colour in ("var(--ink)", "var(--line)", "var(--mark-1)", "var(--mark-2)"))
    assert "#000000" not in plots
    assert "#ffffff" not in plots


def test_identifiers_are_unique() -> None:
    """Though several plots stand in one page, no two elements have the same id."""
    found = Elements(page([a_row("one"), a_row("two", evaluation=(score(0.5, "miou"),))], [], NOW)).tags
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert ids
    assert len({*ids}) == len(ids)


def test_random_weights_are_seen() -> None:
    """A version that was not trained says so beside its name."""
    assert "random weights" not in Elements(page([a_row("one")], [], NOW)).words.replace("have random weights", "")
    words = Elements(page([a_row("one", provenance=a_provenance(trained=False))], [], NOW)).words
    assert "one:1 random weights: its answers mean nothing" in words


def test_uncertified_plans_are_seen() -> None:
    """A plan that nobody certified says that it is never offered."""
    plan = Plan(engine="tensorrt-rtx", file="model.engine", tensorrt_version="1.7", precision="mixed")
    row = a_row("one", plans=(plan,))
    assert "tensorrt-rtx mixed uncertified, never offered" in Elements(page([row], [], NOW)).words
    assert row.uncertified == (plan,)


def test_what_was_not_evaluated_is_said() -> None:
    """Without any evaluation there are no plots, and the page says how to get them."""
    found = Elements(page([a_row("one", evaluation=(), tuning=None)], [], NOW))
    assert "svg" not in [tag for tag, _ in found.tags]
    assert "not evaluated" in found.words
    assert "vitrail-build evaluate" in found.words


def test_cards_cannot_write_into_the_page() -> None:
    """Whatever a card says is text, in the table and in the plots."""
    row = a_row("one", evaluation=(score(0.5, dataset="<script>alert(1)</script>"),))
    text = page([row], ["<b>broken</b>"], NOW)
    assert "script" not in [tag for tag, _ in Elements(text).tags]
    assert "&lt;b&gt;broken" in text


def test_only_what_is_alike_is_compared() -> None:
    """Versions are grouped by metric and data set, the best first; lesser metrics make no group."""
    rows = [a_row("one"), a_row("two", evaluation=(score(0.8), score(0.4, "miou", "cities")))]
    found = [(group.metric, group.dataset, [row.name for row, _ in group.members]) for group in groups(rows)]
    assert found == [("miou", "cities", ["two:1"]), ("top1", "flowers", ["two:1", "one:1"])]


def test_no_parameters_are_no_trouble() -> None:
    """A model that learnt nothing has a mark too."""
    assert "<svg" in page([a_row("one", figures=Figures(parameters=0))], [], NOW)


def test_all_versions_are_read_by_default(tmp_path: Path) -> None:
    """Nothing named means all, a name all its versions, and a number that one."""
    for name, version in (("a", 1), ("a", 2), ("b", 1)):
        write_version(tmp_path, name, version)
    names = {
        wanted: [row.name for row in read_rows(Repository(tmp_path), wanted)[0]]
        for wanted in ((), ("a",), ("a:2", "b", "b:1"))
    }
    assert names == {(): ["a:1", "a:2", "b:1"], ("a",): ["a:1", "a:2"], ("a:2", "b", "b:1"): ["a:2", "b:1"]}


def test_a_broken_card_is_named(tmp_path: Path) -> None:
    """A version that cannot be read is named in the page, and the others are compared."""
    for name in ("a", "b", "c"):
        write_version(tmp_path, name)
    (tmp_path / "a" / "1" / "card.json").write_text("{}")
    (tmp_path / "c" / "1" / "model.onnx").unlink()
    rows, problems = read_rows(Repository(tmp_path), ())
    assert [row.name for row in rows] == ["b:1"]
    assert "a:1 has no readable card" in problems[0]
    assert "c:1 has no readable model file" in problems[1]


@pytest.mark.parametrize("reference", ["absent", "a:7", "../a", "a:x"])
def test_a_model_that_is_not_there_is_told(tmp_path: Path, reference: str) -> None:
    """A name or version that stands for nothing is refused."""
    write_version(tmp_path, "a")
    with pytest.raises(NothingToCompare):
        read_rows(Repository(tmp_path), [reference])


def test_an_empty_repository_is_told(tmp_path: Path) -> None:
    """Without any version there is no page, and the command ends with status 1."""
    result = run("--repository", str(tmp_path), "--out", str(tmp_path / "page.html"), "--json")
    assert result.exit_code == 1
    assert "holds no version" in json.loads(result.stdout)["reason"]
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """The command writes the page, and says where and of what."""
    write_version(tmp_path / "repository", "colours")
    out = tmp_path / "page.html"
    result = run("--repository", str(tmp_path / "repository"), "--out", str(out), "--json")
    assert json.loads(result.stdout) == {
        "event": "reported",
        "path": str(out),
        "versions": ["colours:1"],
        "problems": [],
    }
    assert "colours:1" in out.read_text()


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A folder that is not there is the user's to mend."""
    write_version(tmp_path, "colours")
    result = run("--repository", str(tmp_path), "--out", str(tmp_path / "absent" / "page.html"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
