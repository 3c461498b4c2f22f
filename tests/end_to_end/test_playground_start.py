"""The playground of a service that answers already, but has not loaded its models yet."""

import json
from collections.abc import Iterator

import pytest

from tests.end_to_end.gateway import gateway
from tests.end_to_end.test_playground import ANSWERED, BROWSER, browser
from tests.tiny_models import write_version

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

__all__ = ["browser"]


@pytest.fixture(scope="module")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a service over one tiny model."""
    root = tmp_path_factory.mktemp("models")
    write_version(root, "colours")
    with gateway(root, tmp_path_factory.mktemp("service") / "log", threads=1) as running:
        yield running.url


def loading(document: str) -> str:
    """What `/v1/models` says before its models are loaded."""
    told = json.loads(document)
    for model in told["models"]:
        model["versions"] = [version | {"state": "loading"} for version in model["versions"]]
    return json.dumps(told)


@pytest.mark.parametrize("first", ["empty", "loading"])
def test_models_are_offered_once_they_are_loaded(browser: sync_api.Browser, service_url: str, first: str) -> None:
    """Opened while nothing is ready, the page says so; as soon as a model is, it can be chosen and asked."""
    page = browser.new_page()
    page.set_default_timeout(20_000)

    def early(route: sync_api.Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body='{"models": []}' if first == "empty" else loading(answer.text()))

    page.route("**/v1/models", early, times=1)
    page.goto(f"{service_url}/")
    sync_api.expect(page.locator("#model option:enabled", has_text="colours")).to_have_count(1)
    page.click("#sample")
    page.wait_for_selector(ANSWERED)
    assert page.locator("#model").input_value() == "colours"
    page.close()
