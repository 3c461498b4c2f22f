"""The dashboard in a real browser, before a real service that is asked for real answers."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.gateway import Gateway, gateway
from tests.service.running import RED
from tests.tiny_models import write_version

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
LIVE = "#pulse[data-state=live]"
HISTORY = re.compile("/v1/history")
LOAD_PAUSE_S = 0.02
PAUSE = "document.getElementById('pause').click()"
HIDE, SHOW = (
    f"Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }});"
    "document.dispatchEvent(new Event('visibilitychange'))"
    for hidden in ("true", "false")
)
STAGES = {
    "light": ("8b8998", "1592a3", "1f8a5b", "c8324a", "2f55d4", "7a3fc4", "e9a23b"),
    "dark": ("2bb8cc", "27b077", "ec6076", "6f90ff", "a877ea", "f0b558"),
}
"""Colours of the panes; dark without the one that is also light's."""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    """A Chromium without a screen."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a quick classifier."""
    root = tmp_path_factory.mktemp("dashboard")
    write_version(root, "colours", 1)
    write_version(root, "colours", 2)
    return root


@pytest.fixture(scope="module")
def service(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A service that nobody has asked anything yet."""
    with gateway(repository, tmp_path_factory.mktemp("dashboard_service") / "log", threads=1) as running:
        yield running


@pytest.fixture
def page(browser: sync_api.Browser, service: Gateway) -> Iterator[sync_api.Page]:
    """The dashboard over the last minute, as it opens."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{service.url}/dashboard#window=60")
    page.wait_for_selector(LIVE)
    yield page
    page.close()


@contextmanager
def load(url: str) -> Iterator[None]:
    """Ask both versions, again and again, from a thread of its own."""
    enough = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, headers={"Content-Type": "image/png"}, timeout=30) as client:
            while not enough.wait(LOAD_PAUSE_S):
                for version in ("1", "2"):
                    client.post(f"/v1/classify?model=colours:{version}", content=RED).raise_for_status()
                client.post("/v1/classify?model=colours", content=b"not an image")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def until_painted(page: sync_api.Page, scheme: str, share: float) -> float:
    """Wait until more of the waterfall's canvas than ``share`` has the colours of its stages; give how much has."""
    handle = page.wait_for_function(
        """([colours, share]) => {
            const canvas = document.querySelector("#stages-chart canvas");
            if (!canvas) return false;
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            let painted = 0;
            for (let i = 0; i < data.length; i += 4) {
                const near = (colour) => colour.every((value, channel) => Math.abs(data[i + channel] - value) < 3);
                if (data[i + 3] > 250 && colours.some(near)) painted++;
            }
            return painted / (data.length / 4) > share ? painted / (data.length / 4) : false;
        }""",
        arg=[[list(bytes.fromhex(colour)) for colour in STAGES[scheme]], share],
    )
    return float(handle.json_value())


def test_an_idle_service_says_how_it_is_asked(page: sync_api.Page, service: Gateway) -> None:
    """Before the first request there stands a command that sends one, to this very service."""
    sync_api.expect(page.locator("#empty-command")).to_contain_text(f"{service.url}/v1/classify?model=colours")
    sync_api.expect(page.locator("#latency")).to_be_hidden()


def test_panes_are_painted_while_requests_come(page: sync_api.Page, service: Gateway) -> None:
    """The waterfall grows on its canvas under load, and the same stands in words for those who cannot see it."""
    with load(service.url):
        first = until_painted(page, "light", 0)
        assert until_painted(page, "light", 1.5 * first) > first

    stages = page.get_by_role("img", name="Mean time of a request in each stage")
    sync_api.expect(stages).to_have_attribute("aria-label", re.compile(r"compute [\d.]+ (ms|µs)"))


def test_figures_are_those_of_the_requests(page: sync_api.Page, service: Gateway) -> None:
    """Requests, refusals and versions are counted as they were asked."""
    with load(service.url):
        sync_api.expect(page.locator(".versions-table tbody tr")).to_have_count(2)
        refusals = [re.compile("^422"), re.compile("^invalid_image")]
        sync_api.expect(page.locator("#answers-lists .refusal")).to_have_text(refusals)
    sync_api.expect(page.locator("#empty")).to_be_hidden()
    sync_api.expect(page.locator("#figures dd").nth(1)).to_have_text(re.compile(r"^0 %0 failed, [1-9]"))
    sync_api.expect(page.locator("#figures dd").nth(4)).to_have_text(re.compile(r"^[\d.]+ (ms|s)"))


def test_dark_is_painted_in_its_own_colours(page: sync_api.Page, service: Gateway) -> None:
    """Charts that stand still change their colours with the scheme, without a new answer."""
    with load(service.url):
        until_painted(page, "light", 0.002)
    page.locator("#pause").click()
    page.emulate_media(color_scheme="dark")

    assert until_painted(page, "dark", 0.002) > 0


def test_a_version_can_be_chosen_and_the_address_follows(page: sync_api.Page, service: Gateway) -> None:
    """Pressing a version filters, stands in the address, and survives in a link; pressing again shows all."""
    with load(service.url):
        button = page.locator(".version-button", has_text="version 2")
        button.click()
    assert "model=colours&version=2" in page.evaluate("location.hash")
    sync_api.expect(page.locator("#figures-heading")).to_have_text("Last minute of colours, version 2")
    page.reload()
    sync_api.expect(page.locator("#version")).to_have_value("2")
    button.click()

    sync_api.expect(page.locator("#figures-heading")).to_have_text("Last minute")
    assert "version" not in page.evaluate("location.hash")


def test_a_phone_needs_no_sideways_scrolling(browser: sync_api.Browser, service: Gateway) -> None:
    """At 360 pixels nothing is wider than the page."""
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(f"{service.url}/dashboard#window=60")
    with load(service.url):
        page.wait_for_selector("#latency-chart canvas")
    wide = page.evaluate("[document.documentElement.scrollWidth, document.body.scrollWidth]")
    page.close()

    assert max(wide) <= 360


def test_no_complaint_and_no_foreign_address(browser: sync_api.Browser, service: Gateway) -> None:
    """Neither the console nor another origin hears anything of a page that lives through some answers."""
    page = browser.new_page()
    complaints: list[str] = []
    addresses: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: addresses.append(request.url))
    page.goto(f"{service.url}/dashboard#window=60")
    with load(service.url):
        for _ in range(3):
            with page.expect_response(HISTORY):
                pass
    page.close()

    assert complaints == []
    assert [address for address in addresses if not address.startswith(service.url)] == []


def test_one_request_at_a_time(browser: sync_api.Browser, service: Gateway) -> None:
    """However long an answer takes, the page waits for it before it asks again."""
    page = browser.new_page()
    page.clock.install()
    held: list[sync_api.Route] = []

    def hold(route: sync_api.Route) -> None:
        held.append(route)

    page.route(HISTORY, hold)
    with page.expect_request(HISTORY):
        page.goto(f"{service.url}/dashboard#window=60")
    page.clock.run_for(8_000)
    assert len(held) == 1
    with page.expect_request(HISTORY):
        held[0].continue_()
    page.close()


@pytest.mark.parametrize(("stop", "go_on"), [(PAUSE, PAUSE), (HIDE, SHOW)], ids=["paused", "hidden"])
def test_nobody_is_asked_while_nobody_looks(browser: sync_api.Browser, service: Gateway, stop: str, go_on: str) -> None:
    """A paused page asks nothing within minutes, nor does a hidden one; each asks at once when it is wanted again."""
    page = browser.new_page()
    page.clock.install()
    page.goto(f"{service.url}/dashboard#window=60")
    page.wait_for_selector(LIVE)
    page.wait_for_load_state("networkidle")
    page.evaluate(stop)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(300_000)
    assert asked == []
    with page.expect_request(HISTORY):
        page.evaluate(go_on)
    page.close()


def test_the_focus_stays_where_it_is(page: sync_api.Page, service: Gateway) -> None:
    """Figures that change do not take the keyboard away from a version."""
    with load(service.url):
        page.locator(".version-button").first.focus()
        name = page.evaluate("document.activeElement.textContent")
        for _ in range(3):
            with page.expect_response(HISTORY):
                pass

        assert page.evaluate("document.activeElement.textContent") == name


def test_the_link_to_the_figures_changes_no_choice(page: sync_api.Page) -> None:
    """Who skips to the figures by the keyboard gets there, and sees the same window as before."""
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    sync_api.expect(page.locator("#figures-heading")).to_be_focused()
    sync_api.expect(page.locator("#figures-heading")).to_have_text("Last minute")
    assert page.evaluate("location.hash") == "#window=60"


def test_hostile_names_are_text(page: sync_api.Page, service: Gateway) -> None:
    """Markup for a model's name is shown as it is wherever it stands, among ten thousand versions too."""
    hostile = "<img src=x onerror=alert(1)>"

    def forge(route: sync_api.Route) -> None:
        body = route.fetch().text().replace('"colours"', json.dumps(hostile))
        if "/v1/models" in route.request.url:
            versions = [{"version": str(number), "state": "ready"} for number in range(10_000)]
            body = json.dumps({"models": [{"name": hostile, "task": "classify", "versions": versions}]})
        route.fulfill(body=body, content_type="application/json")

    with load(service.url):
        page.locator(".version-button").first.wait_for()
    page.route(re.compile("/v1/(history|models)"), forge)
    page.reload()
    page.get_by_role("button", name=f"{hostile} version 1").click()

    sync_api.expect(page.locator("#version option")).to_have_count(10_001)
    assert page.locator("main img").count() == 0


def test_a_name_in_a_link_is_text(page: sync_api.Page) -> None:
    """A name out of a link is shown as it is, and is no markup."""
    page.evaluate("location.hash = '#window=60&model=' + encodeURIComponent('<img src=x onerror=alert(1)>')")

    sync_api.expect(page.locator("#figures-heading")).to_have_text("Last minute of <img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


def test_it_says_that_the_service_is_gone_and_goes_on_by_itself(
    browser: sync_api.Browser, repository: Path, tmp_path: Path
) -> None:
    """A service that ends is missed in words, and one that starts in its place is found."""
    page = browser.new_page()
    with gateway(repository, tmp_path / "first", threads=1) as first:
        page.goto(f"{first.url}/dashboard#window=60")
        page.wait_for_selector(LIVE)
    sync_api.expect(page.locator("#lost")).to_be_visible()
    sync_api.expect(page.get_by_role("status")).to_have_text("The service does not answer.")
    with gateway(repository, tmp_path / "second", threads=1, port=first.port):
        page.wait_for_selector(LIVE)
        sync_api.expect(page.locator("#lost")).to_be_hidden()
        sync_api.expect(page.get_by_role("status")).to_have_text("The service answers again.")
    page.close()
