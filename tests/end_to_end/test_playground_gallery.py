"""The gallery of the playground: what is served, how good it is, and how quick."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from contract.card import Evaluation, Measurement, Provenance, Tuning
from contract.task import Task
from tests.end_to_end.gateway import gateway
from tests.end_to_end.test_playground import BROWSER, HOSTILE, browser, playground
from tests.service.tiny_tasks import object_model, write_task
from tests.tiny_models import COLOURS, colour_model, write_version

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

__all__ = ["browser"]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def measured(accuracy: float, milliseconds: float) -> dict[str, Any]:
    """A card's figures: top-1 on one data set, and the time that one image takes."""
    evaluation = Evaluation(metric="top1", value=accuracy, dataset="pictures", images=100, evaluated_at=_NOW)
    alone = Measurement(
        batch_size=1,
        callers=1,
        threads=1,
        latency_p50_ms=milliseconds,
        latency_p99_ms=2 * milliseconds,
        images_per_second=1000 / milliseconds,
    )
    tuning = Tuning(machine="four cores of a test", measurements=(alone,), tuned_at=_NOW)
    return {"evaluation": (evaluation,), "tuning": tuning}


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service over measured, unmeasured, untrained and ill-described models."""
    root = tmp_path_factory.mktemp("models")
    write_version(root, "colours", **measured(0.8, 4))
    write_version(root, "colours", 2, model=colour_model(2.0), precision="int8", **measured(0.7, 2))
    write_version(root, "plain", description=HOSTILE[0] + HOSTILE[2])
    untrained = Provenance(
        source=HOSTILE[1], weights="random", trained=False, licence="MIT", built_at=_NOW, tools={"onnx": "1"}
    )
    write_task(root, "boxes", Task.DETECT, object_model(masks=False), labels=COLOURS, provenance=untrained)
    with gateway(root, tmp_path_factory.mktemp("service") / "log", threads=2) as running:
        yield running.url


@pytest.fixture
def page(browser: sync_api.Browser, service_url: str) -> Iterator[sync_api.Page]:
    """The gallery, all of whose cards have been read."""
    with playground(browser, service_url, "#models") as page:
        sync_api.expect(page.locator("#plot circle")).to_have_count(2)
        yield page


def card_of(page: sync_api.Page, model: str) -> sync_api.Locator:
    """A model's card."""
    return page.locator(".model-card").filter(has=page.get_by_role("heading", name=model, exact=True))


def test_every_model_has_its_card(page: sync_api.Page) -> None:
    """A card tells task, labels, input, licence, certificate, agreement, accuracy and latency of what is served."""
    card = card_of(page, "colours")

    for fact in ("certified engine", r"Labels\s*3", r"Input\s*8 . 8", r"Precision\s*int8", r"Versions\s*1, 2"):
        sync_api.expect(card).to_contain_text(re.compile(fact))
    for fact in ("Apache-2.0", "Certified against itself", "Same answer as its source", "100 %", "0.700", "2.00 ms"):
        sync_api.expect(card).to_contain_text(fact)
    sync_api.expect(page.locator("#gallery-count")).to_have_text("3 models")


def test_an_untrained_model_says_so(page: sync_api.Page) -> None:
    """Random weights are named before anything else, and a source that is markup is text."""
    card = card_of(page, "boxes")

    sync_api.expect(card.locator(".badges")).to_contain_text("untrained: answers mean nothing")
    sync_api.expect(card).to_contain_text(HOSTILE[1])
    assert page.locator("#cards script, #cards img").count() == 0
    assert page.title() == "Vitrail models"


def test_accuracy_stands_against_latency(page: sync_api.Page) -> None:
    """The quicker version stands to the left of the better one, and below it; the table has the same figures."""
    quick, good = (page.locator("#plot a").filter(has_text=f"colours:{version}") for version in (2, 1))
    script = "circle => [circle.cx.baseVal.value, circle.cy.baseVal.value]"
    places = [point.locator("circle").evaluate(script) for point in (quick, good)]
    page.get_by_text("As a table").click()

    assert places[0][0] < places[1][0]
    assert places[0][1] > places[1][1]
    assert page.locator("#plot tbody tr").first.inner_text().split() == ["colours:2", "int8", "2.00", "ms", "0.700"]
    sync_api.expect(page.locator("#plot")).to_contain_text("four cores of a test")


def test_without_figures_a_sentence_says_how_to_get_them(page: sync_api.Page) -> None:
    """Where no version of what is shown was measured there is no plot, and the commands that measure are named."""
    page.locator("#gallery-task").select_option("detect")

    sync_api.expect(page.locator("#cards .model-card")).to_have_count(1)
    sync_api.expect(page.locator("#plot")).to_contain_text("vitrail-build tune NAME")
    sync_api.expect(page.locator("#plot svg")).to_have_count(0)


def test_a_model_is_found_by_its_name(page: sync_api.Page) -> None:
    """The search leaves what is called so; what is called by nobody is said not to be there."""
    page.get_by_label("Find a model").fill("PLAI")
    sync_api.expect(page.locator("#cards h2")).to_have_text(["plain"])
    page.get_by_label("Find a model").fill("nobody")

    sync_api.expect(page.locator("#gallery-empty")).to_have_text("No model is called so.")


def test_choosing_a_model_opens_it(page: sync_api.Page) -> None:
    """A card's link opens the playground with that model, a point's link with that version, and 'back' comes back."""
    card_of(page, "plain").get_by_role("link").press("Enter")
    sync_api.expect(page.locator("#model")).to_have_value("plain")
    sync_api.expect(page.locator("#gallery")).to_be_hidden()
    page.get_by_role("link", name="Models").click()
    page.locator("#plot a").filter(has_text="colours:1").locator("circle").click()

    sync_api.expect(page.locator("#model")).to_have_value("colours")
    sync_api.expect(page.locator("#version")).to_have_value(":1")
    assert page.url.endswith("#classify/colours:1")


def test_the_picture_stays_while_models_are_looked_at(page: sync_api.Page) -> None:
    """A picture that was shown before the gallery is answered by the model that is chosen in it."""
    page.get_by_role("link", name="Playground").click()
    page.get_by_role("button", name="Draw a sample").click()
    page.wait_for_selector("#timings-card:not([hidden])")
    page.get_by_role("link", name="Models").click()
    with page.expect_request(lambda request: "model=plain" in request.url):
        card_of(page, "plain").get_by_role("link").click()

    sync_api.expect(page.locator("#answer li")).to_have_count(3)


def test_a_narrow_phone_shows_the_gallery(page: sync_api.Page) -> None:
    """At 360 pixels nothing is wider than the screen."""
    page.set_viewport_size({"width": 360, "height": 740})

    assert page.evaluate("document.documentElement.scrollWidth") == 360
